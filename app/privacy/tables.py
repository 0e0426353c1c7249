"""Every table and column of the database, in the order in which their rows are deleted."""

from collections.abc import Mapping

from app.privacy.evaluation_tables import EVALUATIONS
from app.privacy.places import (
    ANSWERS,
    CODE,
    CONTRACT,
    COUNT,
    CUSTOMERS,
    DUTY,
    ID,
    INTEREST,
    OF_CONNECTION,
    PROCESSOR,
    PROOF,
    SAFETY,
    SERVICE,
    SHARED,
    STATE,
    TIME,
    Column,
    DataClass,
    Scope,
    Table,
    clear,
    hashed,
    sealed,
)
from app.privacy.queue_tables import QUEUE
from app.privacy.source_tables import SOURCES

_ALL_OF_TENANT: Mapping[Scope, str] = {"tenant": "tenant_id = :target"}
_OF_CONNECTION: Mapping[Scope, str] = {**_ALL_OF_TENANT, "connection": "connection_id = :target"}
_OF_MEMBERS: tuple[Scope, ...] = ("conversation", "contact", "expired")
_OF_CONVERSATION: Mapping[Scope, str] = {
    **_OF_CONNECTION,
    **dict.fromkeys(_OF_MEMBERS, "conversation_id = any(:members)"),
}
_OF_DOCUMENT: Mapping[Scope, str] = {**_ALL_OF_TENANT, "document": "document_id = :target"}


def _customers(name: str, data_class: DataClass, scopes: Mapping[Scope, str], *columns: Column) -> Table:
    return Table(f"tenant.{name}", data_class, CUSTOMERS, PROCESSOR, "conversations", OF_CONNECTION + columns, scopes)


_DELIVERIES = _customers(
    "deliveries",
    "operations",
    _OF_CONVERSATION,
    *clear(ID, "turn_id", "message_id", "conversation_id"),
    *clear(STATE, "state"),
    *clear(COUNT, "part", "epoch", "attempts"),
    *clear(CODE, "error_code"),
    *clear(TIME, "sent_at"),
    *clear("a random id, by which an operator finds the lines of the log", "trace_id"),
    *sealed("provider_message_id", data_class="customer"),
    *hashed("provider_message_hash"),
)
_HANDOFFS = _customers(
    "handoffs",
    "operations",
    _OF_CONVERSATION,
    *clear(ID, "conversation_id", "turn_id"),
    *clear(CODE, "reason"),
    *clear(TIME, "resolved_at", "escalated_at"),
)
_NOTES = _customers("conversation_notes", "message", _OF_CONVERSATION, *clear(ID, "conversation_id"), *sealed("text"))
_WORDS = Table(
    "tenant.message_words",
    "message",
    CUSTOMERS,
    PROCESSOR,
    "conversations",
    clear(ID, "tenant_id", "message_id", "conversation_id", "connection_id") + hashed("word"),
    _OF_CONVERSATION,
    exported=False,
)
_MESSAGES = _customers(
    "messages",
    "message",
    _OF_CONVERSATION,
    *clear(ID, "conversation_id", "turn_id"),
    *clear("the order in which Jobx stored it", "position"),
    *clear(STATE, "direction", "author", "kind", "status"),
    *clear(TIME, "sent_at"),
    *sealed("text", "attachments"),
    *hashed("dedup_hash", "provider_message_hash", "words"),
)
_TURNS = _customers(
    "turns",
    "message",
    _OF_CONVERSATION,
    *clear(ID, "conversation_id", "agent_id"),
    *clear(STATE, "state"),
    *clear(CODE, "reason"),
    *clear(TIME, "finished_at"),
    *clear("the name of a model, from the settings", "model"),
    *clear(COUNT, "prompt_tokens", "completion_tokens", "cost_micros", "timings"),
    *clear("a random id, by which an operator finds the lines of the log", "trace_id"),
    *sealed("record"),
    *clear("names of guardrails of ours", "findings", "shadow_findings"),
)
_MARKS = _customers(
    "verdict_marks",
    "message",
    _OF_CONVERSATION,
    *clear(ID, "conversation_id", "turn_id"),
    *clear("the name of a guardrail of ours", "verdict"),
    *clear("whether the finding was right", "is_right"),
    *clear("the id of the API key that was used", "marked_by"),
    *clear(TIME, "marked_at"),
    *sealed("note"),
)
_CONVERSATIONS = _customers(
    "conversations",
    "customer",
    {**_OF_CONNECTION, **dict.fromkeys(_OF_MEMBERS, "id = any(:members)")},
    *clear(ID, "contact_id"),
    *hashed("provider_hash", "label_hashes", "assignee_hash"),
    *sealed("provider_id", "business_connection_id", "address", "labels", "assignee"),
    *sealed("summary", data_class="message"),
    *clear("the place of the newest message that the summary covers", "summary_until"),
    *clear("a language's code, as the customer's words tell", "language"),
    *clear(TIME, "agent_paused_at", "blocked_at", "last_message_at", "waiting_since", "resolved_at"),
    *clear(TIME, "satisfaction_asked_at"),
    *clear(COUNT, "rating"),
    *clear(STATE, "mode"),
)
_CHANGES = Table(
    "tenant.changes",
    "operations",
    CUSTOMERS,
    PROCESSOR,
    "changes",
    OF_CONNECTION
    + clear(ID, "conversation_id", "message_id", "handoff_id")
    + clear("the name of an event of ours", "kind")
    + clear("the order in which it was noted, and in which it is told", "position", "number"),
    _OF_CONVERSATION,
    exported=False,
)
_WEBHOOK_POSTS = Table(
    "tenant.webhook_posts",
    "operations",
    CUSTOMERS,
    PROCESSOR,
    "posts",
    OF_CONNECTION
    + clear(ID, "webhook_id", "change_id", "conversation_id", "message_id", "handoff_id")
    + clear("the name of an event of ours", "kind")
    + clear(STATE, "state")
    + clear(COUNT, "attempts")
    + clear("an HTTP status", "status_code")
    + clear("a code of ours, never text", "error_code")
    + clear(TIME, "next_attempt_at", "queued_at", "finished_at"),
    _OF_CONVERSATION,
    exported=False,
)
_CONTACTS = _customers(
    "contacts",
    "customer",
    {**_OF_CONNECTION, "contact": "id = :target", "expired": "id = any(:members)"},
    *hashed("customer_hash", "alias_hash", "words"),
    *sealed("customer_id", "name"),
)
_EVENTS = Table(
    "tenant.inbound_events",
    "event",
    CUSTOMERS,
    PROCESSOR,
    "events",
    OF_CONNECTION
    + hashed("dedup_hash")
    + sealed("body", exported=False)
    + clear(COUNT, "epoch")
    + clear(TIME, "handled_at")
    + clear("the ids of the conversations that it was about", "conversation_ids"),
    {**_OF_CONNECTION, **dict.fromkeys(_OF_MEMBERS, "conversation_ids && :members")},
    exported=False,
)
_CONNECTIONS = Table(
    "tenant.connections",
    "account",
    CUSTOMERS,
    CONTRACT,
    "conversations",
    SHARED
    + clear("the name of a channel", "channel")
    + clear(ID, "agent_id")
    + clear(STATE, "state", "simulated", "retention")
    + clear(COUNT, "epoch")
    + clear(TIME, "erase_after", "refresh_at", "checked_at", "polled_at", "watched_until")
    + clear("how far a mailbox was read: numbers of its provider's", "position")
    + hashed("account_hash")
    + sealed("account_id", "display_name", "template")
    + sealed("credentials", data_class="credential", exported=False),
    {**_ALL_OF_TENANT, "connection": "id = :target"},
)
_ROUTES = _customers("connection_routes", "account", _OF_CONNECTION, *hashed("route_hash"), *clear(STATE, "exclusive"))
_CONSENTS = Table(
    "tenant.consents",
    "account",
    CUSTOMERS,
    CONTRACT,
    "consents",
    SHARED
    + clear(ID, "agent_id", "connection_ids")
    + clear("the name of a channel", "channel")
    + clear(STATE, "state")
    + clear(TIME, "expires_at")
    + clear(CODE, "error_code")
    + sealed("error")
    + sealed("verifier", "grants", data_class="credential"),
    {**_ALL_OF_TENANT, "connection": ":target = any(connection_ids)"},
    exported=False,
)


def _knowledge(name: str, scopes: Mapping[Scope, str], *columns: Column) -> Table:
    return Table(f"tenant.{name}", "knowledge", ANSWERS, PROCESSOR, "knowledge", SHARED + columns, scopes)


_CHUNKS = _knowledge(
    "chunks",
    _OF_DOCUMENT,
    *clear(ID, "document_id", "version_id"),
    *clear(COUNT, "position", "page"),
    *sealed("heading", "text", "question", "context"),
    *clear("a language's code, as the text tells", "language"),
)
_VERSIONS = _knowledge(
    "document_versions",
    _OF_DOCUMENT,
    *clear(ID, "document_id", "collection_id"),
    *hashed("content_hash"),
    *sealed("title", "read_title", "file_name", "url", "error", "warnings"),
    *clear("a language's code, as the text tells", "language"),
    *clear("a media type, checked to be nothing else", "media_type"),
    *clear(COUNT, "size", "pages", "chunks", "embedded"),
    *clear(STATE, "status"),
    *clear(CODE, "error_code"),
    *clear(TIME, "embedding_since", "finished_at"),
)
_COLLECTIONS = _knowledge(
    "collections",
    _ALL_OF_TENANT,
    *clear("made of the digest of an embedding model, from the settings", "name", "space"),
    *clear(STATE, "state"),
)
_DOCUMENTS = _knowledge(
    "documents",
    {**_ALL_OF_TENANT, "document": "id = :target"},
    *hashed("source_hash", "label_hashes"),
    *sealed("title", "labels"),
    *clear("whether the title was given", "title_given"),
    *clear("whether a language model writes a line for each passage", "with_context"),
    *clear(ID, "current_version_id"),
    *clear(TIME, "deleted_at"),
)
_AGENTS = Table(
    "tenant.agents",
    "account",
    SERVICE,
    CONTRACT,
    "account",
    SHARED
    + sealed("name", "instructions", "tone", "greeting_message", "thanks_message", "handoff_message", "allowed_urls")
    + sealed("closed_message", "satisfaction_message", "translations", "hours", "sensitive_topics")
    + sealed("labels", "forbidden_phrases")
    + clear("modes and thresholds by names of guardrails of ours", "guardrails")
    + clear("whether a language model is shown placeholders", "mask_personal_data")
    + clear("the name of a model of ours", "judge")
    + clear("the ids of the documents and sources it may use", "document_ids", "source_ids", erasure="cut")
    + clear("codes of languages", "languages")
    + clear(
        COUNT,
        "groundedness_threshold",
        "relevance_threshold",
        "resume_after_minutes",
        "escalate_after_minutes",
        "context_tokens",
    )
    + clear(STATE, "mode", "when_closed"),
    _ALL_OF_TENANT,
)
_REPLAYS = Table(
    "tenant.stored_responses",
    "account",
    SAFETY,
    CONTRACT,
    "replays",
    SHARED + hashed("key_hash", "request_hash") + sealed("body") + clear("an HTTP status", "status_code"),
    _ALL_OF_TENANT,
    exported=False,
)
_API_KEYS = Table(
    "tenant.api_keys",
    "credential",
    SERVICE,
    CONTRACT,
    "account",
    SHARED
    + sealed("name")
    + clear("four characters of a random secret, to tell keys apart", "hint")
    + (Column("secret_hash", "digest"),)
    + clear("names of rights", "scopes")
    + clear(TIME, "revoked_at"),
    _ALL_OF_TENANT,
)
_WEBHOOKS = Table(
    "tenant.webhooks",
    "account",
    SERVICE,
    CONTRACT,
    "account",
    SHARED
    + sealed("url", "description")
    + sealed("secret", "previous_secret", data_class="credential", exported=False)
    + clear("names of events of ours", "kinds")
    + clear(STATE, "enabled")
    + clear(CODE, "disabled_reason")
    + clear(COUNT, "failures")
    + clear(TIME, "previous_until", "failing_since", "resume_at"),
    _ALL_OF_TENANT,
)
_PROFILES = Table(
    "tenant.profiles",
    "account",
    SERVICE,
    CONTRACT,
    "account",
    SHARED
    + sealed("name")
    + clear(COUNT, "conversation_days", "last_change")
    + clear(COUNT, "plan_spend_micros", "spend_limit_micros", "customer_spend_limit_micros", "customer_calls_limit"),
    _ALL_OF_TENANT,
)
_USAGES = Table(
    "tenant.usages",
    "account",
    SERVICE,
    CONTRACT,
    "account",
    SHARED + clear("a month", "month") + clear(COUNT, "cost_micros", "calls"),
    _ALL_OF_TENANT,
)
_CUSTOMER_USAGES = Table(
    "tenant.customer_usages",
    "operations",
    SAFETY,
    PROCESSOR,
    "usages",
    OF_CONNECTION + clear(ID, "contact_id") + clear("a day", "day") + clear(COUNT, "cost_micros", "calls"),
    {**_OF_CONNECTION, "contact": "contact_id = :target", "expired": "contact_id = any(:members)"},
    exported=False,
)
_PLATFORM_USAGES = Table(
    "platform.usages",
    "schema",
    SAFETY,
    INTEREST,
    "schema",
    clear("a day", "day") + clear("a sum over all tenants", "cost_micros", "calls"),
    erasure="kept",
    exported=False,
)
_ERASURES = Table(
    "platform.erasures",
    "receipt",
    PROOF,
    DUTY,
    "receipts",
    clear("a random id", "id")
    + clear("the tenant's id, until it is erased itself", "tenant_id", erasure="cut")
    + clear("ids of what is erased, until it is", "target_id", "members", erasure="cut")
    + clear(STATE, "scope", "state", "revocation")
    + clear(TIME, "created_at", "erase_after", "finished_at")
    + clear(COUNT, "counts")
    + clear("a signed statement of random ids, times and counts", "receipt"),
    erasure="kept",
)
_MASTER_ID = "a digest of the master key that was used, which leads back to no key"
_MASTERS = Table(
    "keys.masters",
    "key",
    SERVICE,
    CONTRACT,
    "keys",
    clear(_MASTER_ID, "id") + clear(TIME, "created_at"),
    erasure="kept",
    exported=False,
)
_CONNECTION_KEYS = Table(
    "keys.connection_keys",
    "key",
    SERVICE,
    CONTRACT,
    "keys",
    clear(ID, "connection_id", "tenant_id")
    + clear(TIME, "created_at")
    + clear(_MASTER_ID, "webhook_master_id")
    + (Column("wrapped", "wrapped"),),
    {**_ALL_OF_TENANT, "connection": "connection_id = :target"},
    erasure="key",
    exported=False,
)
_TENANT_KEYS = Table(
    "keys.tenant_keys",
    "key",
    SERVICE,
    CONTRACT,
    "keys",
    clear(ID, "tenant_id")
    + clear(TIME, "created_at")
    + clear(_MASTER_ID, "master_id")
    + clear(COUNT, "generation", "next_generation")
    + (Column("wrapped", "wrapped"),),
    _ALL_OF_TENANT,
    erasure="key",
    exported=False,
)
_TENANTS = Table(
    "platform.tenants",
    "account",
    SERVICE,
    CONTRACT,
    "account",
    clear("a random id, or one of time and chance", "id")
    + clear(TIME, "created_at")
    + clear("whether it is the sample", "sample"),
    {"tenant": "id = :target"},
)
_SCHEMA = Table(
    "platform.alembic_version",
    "schema",
    SERVICE,
    INTEREST,
    "schema",
    clear("a migration's number", "version_num"),
    erasure="kept",
    exported=False,
)


# Children first, so that each deletion is a small one; keys after what they open. What triggers write comes after what
# they are on: nothing can bring it back then.
TABLES: tuple[Table, ...] = (
    *EVALUATIONS,
    _DELIVERIES,
    _HANDOFFS,
    _NOTES,
    _MARKS,
    _WORDS,
    _MESSAGES,
    _TURNS,
    _CONVERSATIONS,
    _WEBHOOK_POSTS,
    _CHANGES,
    _CUSTOMER_USAGES,
    _CONTACTS,
    _EVENTS,
    _ROUTES,
    _CONSENTS,
    _CONNECTIONS,
    *SOURCES,
    _CHUNKS,
    _VERSIONS,
    _COLLECTIONS,
    _DOCUMENTS,
    _AGENTS,
    _REPLAYS,
    _API_KEYS,
    _WEBHOOKS,
    _USAGES,
    _PROFILES,
    _PLATFORM_USAGES,
    _ERASURES,
    *QUEUE,
    _SCHEMA,
    _MASTERS,
    _CONNECTION_KEYS,
    _TENANT_KEYS,
    _TENANTS,
)
