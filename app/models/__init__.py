"""All tables. Importing this package registers every one of them on `Base.metadata`."""

from app.models.accounts import ApiKey, ConnectionKey, Profile, SeenMaster, StoredResponse, Tenant, TenantKey
from app.models.agents import Agent
from app.models.base import (
    Base,
    ConnectionScoped,
    Encrypted,
    Row,
    SealedBytes,
    TenantScoped,
    new_id,
    now,
    sealed_models,
)
from app.models.channels import Connection, ConnectionRoute, Consent, Delivery, InboundEvent
from app.models.collections import Collection
from app.models.conversations import Contact, Conversation, Handoff, Message, MessageWord, Note, Turn
from app.models.documents import Document, DocumentChunk, DocumentVersion
from app.models.evaluations import EvalDataset, EvalResult, EvalRun, EvalSample
from app.models.events import Change, Webhook, WebhookPost
from app.models.marks import VerdictMark
from app.models.privacy import Erasure
from app.models.sources import Source, SourcePage
from app.models.usage import CustomerUsage, PlatformUsage, Usage

__all__ = [
    "Agent",
    "ApiKey",
    "Base",
    "Change",
    "Collection",
    "Connection",
    "ConnectionKey",
    "ConnectionRoute",
    "ConnectionScoped",
    "Consent",
    "Contact",
    "Conversation",
    "CustomerUsage",
    "Delivery",
    "Document",
    "DocumentChunk",
    "DocumentVersion",
    "Encrypted",
    "Erasure",
    "EvalDataset",
    "EvalResult",
    "EvalRun",
    "EvalSample",
    "Handoff",
    "InboundEvent",
    "Message",
    "MessageWord",
    "Note",
    "PlatformUsage",
    "Profile",
    "Row",
    "SealedBytes",
    "SeenMaster",
    "Source",
    "SourcePage",
    "StoredResponse",
    "Tenant",
    "TenantKey",
    "TenantScoped",
    "Turn",
    "Usage",
    "VerdictMark",
    "Webhook",
    "WebhookPost",
    "new_id",
    "now",
    "sealed_models",
]
