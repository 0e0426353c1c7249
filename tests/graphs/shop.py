"""A shop's knowledge, small enough to be read: passages for the tests of the graph."""

from graphs.support.records import Passage


def passage(number: int, title: str, text: str, heading: str = "") -> Passage:
    return Passage(f"chunk-{number}", f"document-{number}", title, text, heading=heading, page=number, score=0.8)


RETURNS = passage(
    1,
    "Returns",
    "You can return any item within 30 days of delivery. Items have to be unworn and carry their labels.\n\n"
    "Shoes can be sent back if they were only tried on indoors.",
    heading="Returns > Period",
)
DELIVERY = passage(
    2,
    "Delivery",
    "Standard delivery costs £4.50 and is free from £60. Express delivery costs £8.95 and arrives on the next working "
    "day. Track your order at https://shop.example/track.",
)
REFUNDS = passage(
    3, "Refunds", "We pay refunds within 5 working days. The money goes back the way it came. A fee is never charged."
)
ACCOUNT = passage(
    4,
    "Your account",
    "Choose “Forgotten password” and open the link we send you.",
    "Forgotten password",
)
PAYMENT = passage(5, "Payment", "You can pay with cards, gift cards and by bank transfer. We do not accept cheques.")
CONTACT = passage(6, "Contact", "Phone: +44 20 7946 0100, Monday to Friday.\nE-mail: help@shop.example")
STORES = passage(
    7,
    "Stores",
    "Dogs on a lead are welcome in all our stores. On Sundays we are open from 11 am to 5 pm.",
    "Opening hours",
)
GERMAN = passage(8, "Rückgabe", "Sie können Ware innerhalb von 30 Tagen zurückgeben. Das Etikett kostet 6,95 €.")
SPANISH = passage(9, "Envío", "El envío a España cuesta 14,95 €. El paquete llega en un plazo de 4 a 7 días.")
RUSSIAN = passage(10, "Доставка", "Доставка стоит 300 рублей. Мы отправляем заказ в течение двух дней.")

SHOP = (RETURNS, DELIVERY, REFUNDS, ACCOUNT, PAYMENT, CONTACT, STORES, GERMAN, SPANISH, RUSSIAN)
