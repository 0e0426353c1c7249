"""Connections over HTTP."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from app.channels.base import Credentials


class TelegramConnect(BaseModel):
    """A Telegram bot, by the token that BotFather gave."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "channel": "telegram",
                    "agent_id": "0199f5a8-7c7e-7d3a-9d0e-3f1f2a6b4c5d",
                    "token": "7000000001:AAExampleExampleExampleExampleExample",
                }
            ]
        }
    )

    channel: Literal["telegram"]
    agent_id: UUID
    token: Annotated[SecretStr, Field(min_length=1, max_length=300)]

    def credentials(self) -> Credentials:
        """As the provider takes them."""
        return Credentials(token=self.token.get_secret_value())


class WhatsAppConnect(BaseModel):
    """A WhatsApp number by a token of the platform's own Meta app; `pin` registers a number that is not yet."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "channel": "whatsapp",
                    "agent_id": "0199f5a8-7c7e-7d3a-9d0e-3f1f2a6b4c5d",
                    "token": "EAAExampleExampleExample",
                    "waba_id": "102290129340398",
                    "phone_number_id": "106540352242922",
                }
            ]
        }
    )

    channel: Literal["whatsapp"]
    agent_id: UUID
    token: Annotated[SecretStr, Field(min_length=1, max_length=2000)]
    waba_id: Annotated[str, Field(min_length=1, max_length=100)]
    phone_number_id: Annotated[str, Field(min_length=1, max_length=100)]
    pin: Annotated[SecretStr, Field(min_length=6, max_length=6)] | None = None

    def credentials(self) -> Credentials:
        """As the provider takes them."""
        pin = {} if self.pin is None else {"pin": self.pin.get_secret_value()}
        named = {"waba_id": self.waba_id, "phone_number_id": self.phone_number_id}
        return Credentials(token=self.token.get_secret_value(), **named, **pin)


Security = Literal["tls", "starttls", "none"]


class MailServer(BaseModel):
    """A mail server: `tls` from the first byte (993, 465), `starttls` (587), or `none` inside JOBX_FETCH_ALLOW."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)]
    security: Security = "tls"


class MailboxConnect(BaseModel):
    """A mailbox by IMAP and SMTP; most providers want an app password. `user` is the address if it is left out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "channel": "email",
                    "agent_id": "0199f5a8-7c7e-7d3a-9d0e-3f1f2a6b4c5d",
                    "address": "hello@salon.example",
                    "password": "app-password-of-the-mailbox",
                    "imap": {"host": "imap.salon.example", "port": 993},
                    "smtp": {"host": "smtp.salon.example", "port": 587, "security": "starttls"},
                }
            ]
        }
    )

    channel: Literal["email"]
    agent_id: UUID
    address: Annotated[str, Field(pattern=r"^[^\s<>,;:\"@]+@[^\s<>,;:\"@]+$", max_length=320)]
    user: Annotated[str, Field(min_length=1, max_length=320)] | None = None
    password: Annotated[SecretStr, Field(min_length=1, max_length=1000)]
    imap: MailServer
    smtp: MailServer

    def credentials(self) -> Credentials:
        """As the provider takes them."""
        servers = {"imap": self.imap, "smtp": self.smtp}
        named = {
            f"{name}_{part}": str(value) for name, one in servers.items() for part, value in one.model_dump().items()
        }
        address = self.address.lower()
        return Credentials(
            address=address, user=self.user or self.address, password=self.password.get_secret_value(), **named
        )


Connect = Annotated[TelegramConnect | WhatsAppConnect | MailboxConnect, Field(discriminator="channel")]


class TemplateIn(BaseModel):
    """An approved template, by its name and language code."""

    name: Annotated[str, Field(min_length=1, max_length=512)]
    language: Annotated[str, Field(min_length=2, max_length=20)]


class ConnectionPatch(BaseModel):
    """What is left out stays. `template` goes out when the channel's window is closed (WhatsApp); null names none."""

    agent_id: UUID | None = None
    template: TemplateIn | None = None


class ConnectionOut(BaseModel):
    """A connection; `state` is connecting, active, needs_reauthorisation, erasing or disconnected.

    `retention` is what becomes of its data when it stops: erased at once (immediate), or kept for 30 days at most.
    `erase_after` is the date of a stopped one, until which it can be restored.
    """

    id: UUID
    channel: str
    agent_id: UUID
    state: str
    simulated: bool
    account_id: str
    display_name: str
    retention: str
    erase_after: datetime | None
    template: TemplateIn | None
    created_at: datetime


class ConnectionList(BaseModel):
    """A page of connections, newest first."""

    connections: list[ConnectionOut]
    next_cursor: str | None


class ConsentStart(BaseModel):
    """A channel that is connected by its owner's consent, and the agent that is to answer there.

    `code` is for WhatsApp's Embedded Signup, which gives it in the browser: then there is no address to open.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"channel": "tiktok", "agent_id": "0199f5a8-7c7e-7d3a-9d0e-3f1f2a6b4c5d"}]}
    )

    channel: Literal["tiktok", "messenger", "instagram", "whatsapp", "gmail"]
    agent_id: UUID
    code: Annotated[SecretStr, Field(min_length=1, max_length=2000)] | None = None


class AccountOut(BaseModel):
    """An account that its owner let us use."""

    id: str
    name: str


class ConsentOut(BaseModel):
    """A consent; `state` is waiting, exchanging, choose, connected or failed.

    The owner opens `url` within the hour, and comes back to Jobx. Of several `accounts` some are chosen then.
    `error` says in words why it failed.
    """

    id: UUID
    channel: str
    state: str
    url: str | None
    expires_at: datetime
    accounts: list[AccountOut]
    connection_ids: list[UUID]
    error_code: str | None
    error: str | None


class AccountChoice(BaseModel):
    """Which of the granted accounts are connected."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"account_ids": ["863503883522801"]}]})

    account_ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=300)]], Field(min_length=1, max_length=50)
    ]
