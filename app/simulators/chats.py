"""A customer to write as on a simulated channel: its provider, what Jobx is to be told of it, and the messages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from app.simulators.gmail import GmailSimulator
from app.simulators.mailbox import MailSimulator
from app.simulators.meta import INSTAGRAM_APP, META_APP, MetaSimulator
from app.simulators.meta_webhooks import Thread
from app.simulators.meta_wire import Page, Professional
from app.simulators.tiktok import Business, TikTokSimulator
from app.simulators.whatsapp import WhatsAppSimulator

_APP_ID, _APP_SECRET = "simulated-app", "simulated-secret"
_CUSTOMER, _TALK = "+customer==", "talk=="


@dataclass(frozen=True)
class Request:
    """What the provider posts to Jobx's webhook."""

    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Chat:
    """One customer on one channel. `variables` point a Jobx at the simulator; `said` is what came back, oldest first.

    `app` answers over HTTP; a mailbox has none, and listens once `form` is asked for, which is what connects it.
    `write` gives what the provider posts, None where nobody does. `echo` is what it posts of the newest message of the
    business: an echo, or that it was sent. `code` is what the browser is given where there is no consent page to open.
    """

    app: ASGIApp | None
    variables: dict[str, str]
    write: Callable[[str], Request | None]
    said: Callable[[], list[str]]
    echo: Callable[[], Request | None]
    code: Callable[[], str] | None = None
    form: Callable[[], dict[str, Any]] | None = None


def chat_on(channel: str, url: str) -> Chat:
    """A chat whose provider answers at `url`; KeyError for a channel that has none."""
    return _CHATS[channel](url)


def _tiktok(url: str) -> Chat:
    simulator = TikTokSimulator(_APP_ID, _APP_SECRET, Business("business==", "marlow.finch", "Marlow & Finch"))
    numbers = iter(range(1, 10**9))
    return Chat(
        app=simulator.app,
        variables={
            "JOBX_TIKTOK__APP_ID": _APP_ID,
            "JOBX_TIKTOK__APP_SECRET": _APP_SECRET,
            "JOBX_TIKTOK__API_BASE": f"{url}/open_api/v1.3",
            "JOBX_TIKTOK__AUTH_BASE": url,
        },
        write=lambda text: Request(*simulator.message(_CUSTOMER, _TALK, text, f"message-{next(numbers)}==")),
        said=lambda: [sent.text or "" for sent in simulator.sent],
        echo=lambda: Request(*simulator.echo(simulator.sent[-1], _CUSTOMER)),
    )


def _messenger(url: str) -> Chat:
    page = Page("863503883522801", "Marlow & Finch")
    simulator = MetaSimulator(pages=[page])
    graph = f"{url}/v25.0"
    variables = {"JOBX_MESSENGER__API_BASE": graph, "JOBX_MESSENGER__AUTH_BASE": graph}
    return _meta(simulator, Thread("page", page.id, "6724571234567890"), META_APP.secret, _META | variables)


def _instagram(url: str) -> Chat:
    account = Professional("17841405822304914", "9000000000000001", "marlow.finch")
    simulator = MetaSimulator(professional=account)
    variables = {
        "JOBX_INSTAGRAM__APP_ID": INSTAGRAM_APP.id,
        "JOBX_INSTAGRAM__APP_SECRET": INSTAGRAM_APP.secret,
        "JOBX_INSTAGRAM__API_BASE": f"{url}/v25.0",
        "JOBX_INSTAGRAM__AUTH_BASE": url,
        "JOBX_INSTAGRAM__TOKEN_BASE": url,
    }
    return _meta(simulator, Thread("instagram", account.user_id, "1254477777772919"), INSTAGRAM_APP.secret, variables)


_META = {"JOBX_META__APP_ID": META_APP.id, "JOBX_META__APP_SECRET": META_APP.secret}


def _meta(simulator: MetaSimulator, thread: Thread, secret: str, variables: dict[str, str]) -> Chat:
    def write(text: str) -> Request:
        posted = thread.webhook(secret, thread.text(text))
        return Request(posted.headers, posted.body)

    def echo() -> Request:
        # Instagram's echoes name no app.
        sent, app_id = simulator.sent[-1], int(META_APP.id) if thread.object_name == "page" else None
        posted = thread.webhook(
            secret, thread.echo(sent.text or "", sent.message_id, app_id=app_id, metadata=sent.metadata)
        )
        return Request(posted.headers, posted.body)

    return Chat(simulator.app, variables, write, lambda: [sent.text or "" for sent in simulator.sent], echo)


def _whatsapp(url: str) -> Chat:
    simulator = WhatsAppSimulator(META_APP)
    return Chat(
        app=simulator.app,
        variables=_META | {"JOBX_WHATSAPP__API_BASE": f"{url}/v25.0"},
        write=lambda text: Request(*simulator.webhook(simulator.message(text, scoped="US.13491208655302741918"))),
        said=lambda: [sent.text or "" for sent in simulator.sent],
        echo=lambda: Request(*simulator.webhook(simulator.status(simulator.sent[-1], "sent"))),
        code=simulator.code,
    )


def _gmail(url: str) -> Chat:
    simulator = GmailSimulator(_APP_ID, _APP_SECRET, "hello@marlow-finch.test")

    def write(text: str) -> Request:
        # Each answers the last mail of the one thread.
        thread = simulator.sent[-1].thread_id if simulator.sent else ""
        simulator.write("Ann Lee <ann@client.test>", text, thread=thread)
        return Request(*simulator.push())

    return Chat(
        app=simulator.app,
        variables={
            "JOBX_GMAIL__CLIENT_ID": _APP_ID,
            "JOBX_GMAIL__CLIENT_SECRET": _APP_SECRET,
            "JOBX_GMAIL__TOPIC": "projects/simulated/topics/gmail",
            "JOBX_GMAIL__PUSH_AUDIENCE": simulator.audience,
            "JOBX_GMAIL__PUSH_ACCOUNT": simulator.push_account,
            "JOBX_GMAIL__API_BASE": f"{url}/gmail/v1",
            "JOBX_GMAIL__AUTH_BASE": url,
            "JOBX_GMAIL__TOKEN_BASE": url,
            "JOBX_GMAIL__CERTS_BASE": url,
        },
        write=write,
        said=simulator.said,
        echo=lambda: Request(*simulator.push()),
    )


def _email(_url: str) -> Chat:
    simulator = MailSimulator("hello@marlow-finch.test", "simulated-password")

    def write(text: str) -> None:
        simulator.write("ann@client.test", text)

    def form() -> dict[str, Any]:
        return (simulator if simulator.imap_port else simulator.start()).form()

    # A mail server on loopback is reached, without TLS, only where the operator allows its network.
    allowed = {"JOBX_FETCH_ALLOW": "127.0.0.0/8"}
    return Chat(None, allowed, write, simulator.said, lambda: None, form=form)


_CHATS: dict[str, Callable[[str], Chat]] = {
    "tiktok": _tiktok,
    "messenger": _messenger,
    "instagram": _instagram,
    "whatsapp": _whatsapp,
    "gmail": _gmail,
    "email": _email,
}
CHATS = tuple(_CHATS)
