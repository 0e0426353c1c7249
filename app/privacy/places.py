"""The words of the inventory: a place where data lives, and a table as a list of such places."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Scope = Literal["connection", "contact", "conversation", "document", "expired", "tenant"]
Store = Literal["database", "jobs", "vectors", "files", "memory", "logs", "backups"]
DataClass = Literal[
    "account", "credential", "customer", "event", "key", "knowledge", "message", "operations", "receipt", "schema"
]
# sealed: AES-256-GCM, bound to its row. hashed: HMAC under a tenant's or a connection's key. digest: a hash without a
# key, of a random secret. wrapped: a key under the key above it. derived: computed from a text, which it does not show.
Form = Literal["sealed", "hashed", "digest", "wrapped", "derived", "clear"]
Retention = Literal[
    "account", "changes", "consents", "conversations", "evaluations", "events", "jobs", "keys", "knowledge", "logs",
    "memory", "backups", "posts", "receipts", "replays", "schema", "usages",
]  # fmt: skip
# row: deleted with its row. cut: taken out of a row that stays. key: destroyed last, and with it what it encrypts.
# file, vector, job: removed from there. expires: not reached, and gone after its time. kept: nothing of a person.
Erasure = Literal["row", "cut", "key", "file", "vector", "job", "expires", "kept"]

CUSTOMERS = "to answer a customer's messages on the tenant's behalf"
ANSWERS = "to answer from what the tenant uploaded"
QUALITY = "to find out how well the agents answer"
SERVICE = "to run the service for the tenant"
SAFETY = "to do each thing once, and to find out what went wrong"
PROOF = "to show that an erasure was carried out"

PROCESSOR = "art. 6(1) GDPR, as the tenant (controller) determines; Jobx processes on its behalf, art. 28"
CONTRACT = "art. 6(1)(b) GDPR, contract with the tenant"
INTEREST = "art. 6(1)(f) GDPR, a secure and working service"
DUTY = "art. 6(1)(c) GDPR, with art. 5(2) and 17"


@dataclass(frozen=True, slots=True)
class Term:
    """For how many days something is kept; `least` and `most` are what a tenant can choose, None if it cannot."""

    days: int
    least: int | None = None
    most: int | None = None


# A repeated webhook comes within days, a repeated request within hours. Three years are the usual time within which a
# customer can still claim something (in Germany § 195 BGB); to keep messages for longer needs another ground than ours.
TERMS: Mapping[Retention, Term] = {
    "conversations": Term(730, least=1, most=1095),
    "changes": Term(1),
    "consents": Term(1),
    "events": Term(30),
    "jobs": Term(30),
    "posts": Term(14),
    "replays": Term(1),
    "usages": Term(2),
}
_CHATS = TERMS["conversations"]
RULES: Mapping[Retention, str] = {
    "account": "as long as the account; 30 days at most after it was closed",
    "changes": f"{24 * TERMS['changes'].days} hours",
    "conversations": f"{_CHATS.days} days after the last message, or as the tenant sets it ({_CHATS.least} to"
    f" {_CHATS.most}); when the connection stops, gone at once or after 30 days, by its channel",
    "consents": f"{24 * TERMS['consents'].days} hours; what was granted until it is connected, an hour at most",
    "evaluations": "as long as the tenant keeps the dataset; what is of a conversation goes with it",
    "events": f"the body until it is handled; the hash that makes a repetition harmless {TERMS['events'].days} days",
    "jobs": f"until the job succeeded; one that failed for good {TERMS['jobs'].days} days",
    "keys": "as long as what it encrypts",
    "knowledge": "as long as the tenant keeps the document",
    "logs": "as the operator keeps the log; it holds no row's id",
    "memory": "a minute at most, and no longer than the process",
    "backups": "30 days at most; an erasure is done again after a restore, from the ledger",
    "posts": f"{TERMS['posts'].days} days",
    "receipts": "without an end: random ids, times and counts",
    "replays": f"{24 * TERMS['replays'].days} hours, without the answers that name something erased",
    "schema": "as long as the database; holds nothing of a person",
    "usages": f"{24 * TERMS['usages'].days} hours after the day's first call",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """One place, with what becomes of it. `reason` says why it is in clear, and is None where it is not."""

    store: Store
    name: str
    form: Form
    data_class: DataClass
    purpose: str
    basis: str
    retention: Retention
    exported: bool
    erasure: Erasure
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column as its table lists it."""

    name: str
    form: Form
    reason: str | None = None
    data_class: DataClass | None = None
    exported: bool | None = None
    erasure: Erasure | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table, what its columns have in common, and which of its rows are in a scope, as a condition in SQL.

    A condition may name :target (the id of what is erased) and :members (ids that belong to it, see erasure.py).
    """

    name: str
    data_class: DataClass
    purpose: str
    basis: str
    retention: Retention
    columns: tuple[Column, ...]
    scopes: Mapping[Scope, str] = field(default_factory=dict)
    erasure: Erasure = "row"
    exported: bool = True

    def places(self) -> Iterator[Place]:
        """Its columns, each a place."""
        for column in self.columns:
            # What only we can read, or only serves us, is nothing to hand out.
            readable = column.form in ("sealed", "clear") and self.exported
            yield Place(
                store="database",
                name=f"{self.name}.{column.name}",
                form=column.form,
                data_class=column.data_class or self.data_class,
                purpose=self.purpose,
                basis=self.basis,
                retention=self.retention,
                exported=readable if column.exported is None else column.exported,
                erasure=column.erasure or self.erasure,
                reason=column.reason,
            )


def sealed(*names: str, data_class: DataClass | None = None, exported: bool | None = None) -> tuple[Column, ...]:
    """Encrypted columns; without their suffix, which all have."""
    return tuple(Column(f"{name}_sealed", "sealed", None, data_class, exported) for name in names)


def hashed(*names: str) -> tuple[Column, ...]:
    """Keyed hashes, by which an encrypted value is found again."""
    return tuple(Column(name, "hashed") for name in names)


def clear(reason: str, *names: str, erasure: Erasure | None = None) -> tuple[Column, ...]:
    """Columns in clear, for one reason."""
    return tuple(Column(name, "clear", reason, "operations", None, erasure) for name in names)


# What every table of a tenant has: declared here once.
SHARED = clear("a random id, or one of time and chance", "id", "tenant_id") + clear(
    "when the row was made", "created_at"
)
OF_CONNECTION = SHARED + clear("the id of the connection it belongs to", "connection_id")
ID, STATE, TIME, COUNT, CODE = (
    "the id of another row",
    "a state of ours, one of a few words",
    "a time, needed to order and to expire",
    "a number that says nothing of its content",
    "a code of ours or the provider's, never text",
)
