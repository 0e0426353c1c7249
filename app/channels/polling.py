"""What providers of polled accounts do besides: the `Mailboxes` protocol and its values."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from app.channels.base import Credentials, InboundEvent

# In a position: when a fetch that left nothing over was begun, Unix seconds.
LOOKED = "looked"
# How far the clock of a mail server may be behind ours; what came twice is known again.
_SLACK_SECONDS = 3600.0
_LOST_SECONDS = 7 * 86_400.0


def looked_before(position: Mapping[str, Any]) -> float:
    """From when on mail may be new, Unix seconds, for a mailbox whose numbers begin anew.

    What is older was fetched, or came before the account was connected, and may have been erased here since.
    """
    looked, now = position.get(LOOKED), time.time()
    known = looked if isinstance(looked, int | float) and not isinstance(looked, bool) else now
    return max(known - _SLACK_SECONDS, now - _LOST_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Mailbox:
    """A polled account: its own and the tenant's other addresses, lower case, and where the last fetch ended.

    `position` is the provider's own text; None for an account that was connected just now, whose old mail is left
    alone.
    """

    account_id: str
    own_addresses: frozenset[str]
    position: str | None = None


@dataclass(frozen=True)
class Fetched:
    """What is new in a mailbox, oldest first, and the position to keep once it is stored; `more` if it goes on."""

    events: tuple[InboundEvent, ...]
    position: str
    more: bool = False


class Mailboxes(Protocol):
    """What a provider of polled accounts does besides (`Capabilities.polled`)."""

    async def fetch(self, client: httpx.AsyncClient, credentials: Credentials, mailbox: Mailbox) -> Fetched:
        """What came since the mailbox's position, a bounded number of mails at a time.

        Raises ConnectRefused when the owner has to let us in again, ProviderUnavailable when trying again may help.
        """
        ...

    async def wait(self, credentials: Credentials, seconds: float) -> bool:
        """Wait for new mail for so long at most; whether there may be some. Raises as `fetch` does."""
        ...
