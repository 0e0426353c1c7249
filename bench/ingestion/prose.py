"""Articles of a made-up company's knowledge: headings, prose and tables, fixed by a seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random


def _words(text: str) -> list[str]:
    return text.split()


_THINGS = _words(
    "account address adapter advance afternoon agreement airline allowance appointment approval armchair assembly "
    "balance bank banner barcode basket battery benefit bicycle blanket booking bracket branch brochure budget "
    "button cabinet cable calendar camera cancellation carpet carrier catalogue ceiling certificate charge "
    "charger checkout cheque claim collection colour committee complaint condition consent container contract "
    "copy corner counter coupon courier credit currency cushion customs damage dashboard database deadline dealer "
    "decision delivery deposit desk device diary discount dispatch display dispute doorstep drawer duty edition "
    "electricity engine envelope estimate evidence exchange expense extension fabric factory faucet fee filter "
    "finance firmware fitting floor forecast form frame freight fridge furniture garage garden garment gateway "
    "gift glove grant grocery guarantee guest guide hallway handle harbour heater helmet hinge holiday hotel "
    "household identity import income index inspection instalment insurance interest inventory invoice jacket "
    "journey keyboard kitchen label ladder lamp laptop latch lease leather ledger letter library licence lift "
    "limit loan lobby lock luggage machine magazine mailbox manual margin market mattress measure medicine "
    "membership merchant meter mileage mirror mortgage motor museum notice obligation offer office opening option "
    "order outlet oven owner package paint panel parcel passport patent payment penalty pension permit phone "
    "photograph pillow pipeline platform plug policy portal postage premium prescription price printer privacy "
    "product profile proof property purchase quality quantity quota quote railway rate rebate receipt recipe "
    "reference refund region registration reminder renewal repair report request reservation residence return "
    "reward roof route router safety salary sample schedule screen season seat sensor session settlement shelf "
    "shipment shower signature sleeve socket software stairs statement station stock storage store subscription "
    "supplier surcharge survey switch table tariff tax telephone tenant terminal theatre ticket timetable token "
    "tool towel tracking trade traffic training transfer treatment trial umbrella upgrade vehicle vendor "
    "verification visa voucher wallet wardrobe warehouse warranty washer waste website weight wheel window "
    "workshop"
)
_KINDS = _words(
    "additional annual automatic available broken certified cheap cold commercial complete confidential corporate "
    "damaged digital direct domestic double early electronic empty exact expired external faulty final fixed "
    "foreign fragile free frequent full genuine heavy hidden individual initial internal international joint "
    "large late legal light limited local lost main manual medical minor missing mobile monthly national normal "
    "official optional original overdue paid partial personal plain portable previous printed private "
    "professional public quick recent refundable regional regular remote returned safe sealed seasonal secure "
    "separate short single small special spare standard temporary unopened urgent used valid visible waterproof "
    "weekly wide written wrong"
)
_DEEDS = _words(
    "accept activate adjust approve arrange assign attach block book calculate cancel change charge check clean "
    "collect combine compare complete confirm connect convert cover deduct deliver describe discuss dispose "
    "download enter estimate examine exchange explain extend fill follow forward handle hold identify include "
    "inform inspect install keep label lower measure mention move notify open order pack pause pay pick place "
    "prepare prevent print process protect provide publish raise receive recommend record reduce refund refuse "
    "register reject release remove renew repair replace report request reserve restore return review revise scan "
    "seal select send settle share sign split store submit supply suspend transfer translate unlock update upload "
    "verify waive weigh withdraw"
)
_PEOPLE = _words(
    "accountant adviser agent applicant assistant buyer carrier cashier clerk client colleague consultant "
    "customer dealer director driver employee engineer guest inspector installer landlord manager member "
    "neighbour officer owner partner passenger recipient reseller seller sender supervisor supplier technician "
    "tenant traveller visitor"
)
_WHEN = (
    "after the first {n} days",
    "as soon as the {thing} has arrived",
    "at the end of each month",
    "before {n} o'clock on working days",
    "during the {kind} season",
    "every {n} weeks",
    "for {n} months from the date of the {thing}",
    "in the week before a public holiday",
    "until {month} {n}",
    "within {n} working days",
)
_MONTHS = _words("January February March April May June July August September October November December")
_SENTENCES = (
    "{When} the {person} can {deed} the {kind} {thing} without a {kind} {thing}.",
    "If the {thing} is {kind}, {deed} it and {deed} the {thing} that came with it.",
    "A {kind} {thing} costs {price} pounds; from {n} pieces on we {deed} a {thing} of {price} pounds.",
    "Please {deed} your {thing} in the {place} branch, where a {person} will {deed} the {kind} {thing} {when}.",
    "Our {person} needs the {thing} number, for example {code}, to {deed} your {thing}.",
    "We do not {deed} any {kind} {thing}, unless the {person} asked us to {deed} it {when}.",
    "{Deed} the {kind} {thing}, then {deed} the {thing} and wait until the {person} has seen the {thing}.",
    "The {brand} {thing} has a {kind} {thing}, a {kind} {thing} and room for {n} {thing}s.",
    "What you {deed} {when} counts towards the {kind} {thing} of the following year.",
    "In {place} and {place} other rules hold: there the {person} has to {deed} the {thing} {when}.",
    "It takes about {n} minutes to {deed} a {thing}, and up to {n} days if the {thing} is {kind}.",
    "Whoever cannot {deed} the {thing} may ask the {person} for a {kind} {thing} instead.",
    "For a {brand} {thing} with a {kind} {thing} see page {n} of the {thing} guide, revision {code}.",
    "{When} every {person} gets a {kind} {thing} by post, together with the {thing} of the {kind} {thing}.",
)
_SYLLABLES = _words("ar bel cor dan el fen gar hol is jor kel lam mor nor os pel quin ras sol tor ul ven wil yar zen")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, paragraphs, and a table, whose first row names the columns; it may be empty."""

    heading: str
    paragraphs: Sequence[str]
    table: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Article:
    """One document's content."""

    title: str
    sections: Sequence[Section]

    @property
    def characters(self) -> int:
        """How long its text is."""
        cells = [cell for section in self.sections for row in section.table for cell in row]
        texts = [text for section in self.sections for text in (section.heading, *section.paragraphs)]
        return sum(map(len, (self.title, *texts, *cells)))


class Writer:
    """Writes articles; the same seed writes the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._brands = [self._name() for _ in range(40)]
        self._places = [self._name() for _ in range(60)]
        self._slots: dict[str, Callable[[], str]] = {
            "thing": lambda: self._random.choice(_THINGS),
            "kind": lambda: self._random.choice(_KINDS),
            "deed": lambda: self._random.choice(_DEEDS),
            "person": lambda: self._random.choice(_PEOPLE),
            "brand": lambda: self._random.choice(self._brands),
            "place": lambda: self._random.choice(self._places),
            "month": lambda: self._random.choice(_MONTHS),
            "n": lambda: str(self._random.randint(2, 28)),
            "price": lambda: f"{self._random.uniform(1, 900):.2f}",
            "code": lambda: f"{self._random.choice('ABCDEFGH')}{self._random.randint(1000, 99999)}",
        }

    def article(self, sections: int) -> Article:
        """An article of some sections, of one to six paragraphs each; every fourth or so has a table."""
        number = self._random.randint(100, 999)
        title = self._filled("{Kind} {thing}s and the {brand} {thing}") + f" ({number})"
        return Article(title, [self._section() for _ in range(sections)])

    def menu(self, entries: int) -> list[str]:
        """The names of pages that a site leads to."""
        return [self._filled("{Deed} a {kind} {thing}") for _ in range(entries)]

    def questions(self, count: int) -> list[str]:
        """What customers ask; each names an order of its own."""
        asked = ("Can I {deed} the {kind} {thing} {when}?", "How much is a {kind} {thing} in {place}?")
        return [f"{self._filled(self._random.choice(asked))} My order is {100_000 + n}." for n in range(count)]

    def _section(self) -> Section:
        heading = self._filled(
            self._random.choice(("{Kind} {thing}s", "How to {deed} a {thing}", "The {brand} {thing}"))
        )
        paragraphs = [self._paragraph() for _ in range(self._random.randint(1, 6))]
        return Section(heading, paragraphs, self._table() if self._random.random() < 0.25 else [])

    def _paragraph(self) -> str:
        return " ".join(self._filled(self._random.choice(_SENTENCES)) for _ in range(self._random.randint(2, 7)))

    def _table(self) -> list[list[str]]:
        head = [self._filled("{Thing}") for _ in range(4)]
        cells = ("{kind} {thing}", "{price} pounds", "{place}", "{n} days")
        return [head, *([self._filled(cell) for cell in cells] for _ in range(self._random.randint(4, 14)))]

    def _filled(self, pattern: str) -> str:
        """The pattern with a word for each slot; a slot with a capital starts with one."""
        text, rest = "", pattern
        while "{" in rest:
            before, _, rest = rest.partition("{")
            slot, _, rest = rest.partition("}")
            name = slot.lower()
            word = self._filled(self._random.choice(_WHEN)) if name == "when" else self._slots[name]()
            text += before + (word[0].upper() + word[1:] if slot[0].isupper() else word)
        return text + rest

    def _name(self) -> str:
        return "".join(self._random.choices(_SYLLABLES, k=self._random.randint(2, 3))).title()
