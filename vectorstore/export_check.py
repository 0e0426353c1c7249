"""The fixed set on which an exported embedding model has to find what the original finds.

Four subjects with ten passages each, so that each question has ten best passages that stand out from the rest.
"""

_RETURNS = (
    "You can return any item within 30 days of delivery.",
    "Refunds are paid back to the card you used, within five working days.",
    "Returned goods must be unused and in their original packaging.",
    "Print the return label from your order page and stick it on the parcel.",
    "The cost of sending an item back is yours unless it arrived broken.",
    "Sale items can be exchanged but not refunded.",
    "If the wrong product was sent to you, returning it is free.",
    "We refund the full price once the returned item has been checked.",
    "To exchange a size, send the item back and order the other one.",
    "Opened cosmetics and underwear cannot be returned.",
)
_ACCOUNT = (
    "To reset your password, choose 'Forgot password' on the login page.",
    "Your password must have at least twelve characters.",
    "Two-factor login asks for a code from your phone after the password.",
    "An account is locked for an hour after five failed login attempts.",
    "You can change the e-mail address of your account in its settings.",
    "Close your account under Settings, Privacy, Delete account.",
    "Log in with your e-mail address, not with your user name.",
    "If no password e-mail arrives, look in the spam folder of your mailbox.",
    "Several people can share one account with a login of their own.",
    "Sign out of all devices when you think somebody else used your account.",
)
_OVEN = (
    "Preheat the oven for ten minutes before baking bread.",
    "The oven cleans itself by heating up to 480 degrees.",
    "Use the lower rack of the oven for pizza and flat cakes.",
    "Fan heat bakes two trays of biscuits evenly at a time.",
    "Never cover the floor of the oven with aluminium foil.",
    "Wipe the oven door with warm water and a little vinegar.",
    "The grill of the oven browns the top of a gratin.",
    "A cake that sinks was taken out of the oven too early.",
    "The oven light can be replaced without tools when it is cold.",
    "Roast a chicken in the oven at 190 degrees for an hour.",
)
_BICYCLE = (
    "Oil the bicycle chain after every ride in the rain.",
    "Pump the bicycle tyres to the pressure printed on their side.",
    "The bicycle's brake pads must be changed when the grooves are gone.",
    "Set the bicycle's saddle so that your leg is almost straight on the pedal.",
    "A squeaking bicycle brake is mostly dirty or badly aligned.",
    "To mend a bicycle's puncture, take the wheel off and patch the inner tube.",
    "The battery of the electric bicycle lasts about eighty kilometres.",
    "Lock the bicycle's frame to a stand, not only the wheel.",
    "Bicycle gears that slip need the tension of the shift cable adjusted.",
    "Children's bicycles have smaller wheels and a back-pedal brake.",
)
PASSAGES = (*_RETURNS, *_ACCOUNT, *_OVEN, *_BICYCLE)
QUESTIONS = (
    "How do I send an item back and get my money refunded?",
    "Can I return or exchange a product that I bought?",
    "I cannot log in to my account with my password.",
    "How do I change the login settings of my account?",
    "How do I bake, roast and clean with this oven?",
    "What do I have to know about my oven?",
    "How do I look after my bicycle and its wheels?",
    "What should I know about my bicycle?",
)
# For models of inference: some follow from one of the passages, some contradict one, some do neither.
CLAIMS = (
    "An item can be sent back for thirty days after it arrived.",
    "Sale items are refunded in full.",
    "A password is at least twelve characters long.",
    "Nobody can sign out of other devices.",
    "The oven has to be hot before bread goes in.",
    "The floor of the oven should be covered with foil.",
    "An electric bicycle goes for some eighty kilometres on one charge.",
    "A bicycle comes with a lock and two lights.",
)
