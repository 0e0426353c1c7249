"""One mail by SMTP submission (RFC 6409), and what the server's answer means (RFC 5321, 4954; shared reference, 8)."""

import asyncio
import socket
import ssl
from collections.abc import Mapping

import aiosmtplib
from aiosmtplib import SMTPException, SMTPResponseException

from app.channels.base import ConnectRefused, Outcome, ProviderUnavailable, SendResult

_STEP_SECONDS = 30.0
# A server that puts a mail off, as one that greylists does, wants minutes.
_RETRY_SECONDS = 300.0
_CREDENTIALS = frozenset({530, 534, 535, 538})
_TEMPORARY = range(400, 500)
_BROKEN = (SMTPException, OSError, TimeoutError, ValueError)


async def open_smtp(
    connected: socket.socket, credentials: tuple[str, str, str], security: str, context: ssl.SSLContext
) -> aiosmtplib.SMTP:
    """A session that is logged in with (host, user, password); raises aiosmtplib's exceptions and OSError."""
    host, user, password = credentials
    client = aiosmtplib.SMTP(
        hostname=host,
        sock=connected,
        use_tls=security == "tls",
        start_tls=False,
        tls_context=context,
        timeout=_STEP_SECONDS,
        # Not the machine's own name.
        local_hostname="jobx.invalid",
    )
    try:
        await client.connect()
        if security == "starttls":
            await client.starttls(server_hostname=host, tls_context=context)
        await client.login(user, password)
    except BaseException:
        client.close()
        raise
    return client


async def submit(
    connected: socket.socket,
    credentials: tuple[str, str, str],
    security: str,
    context: ssl.SSLContext,
    sender: str,
    recipient: str,
    mail: bytes,
) -> SendResult:
    """Hand a mail to the server. Until its text is on the way nothing was sent; lost after that, it may have been."""
    begun = False
    client: aiosmtplib.SMTP | None = None
    try:
        client = await open_smtp(connected, credentials, security, context)
        await client.mail(sender)
        await client.rcpt(recipient)
        begun = True
        await client.data(mail)
    except SMTPResponseException as error:
        if error.code > 0:
            return read_code(error.code)
        return SendResult("unknown" if begun else "retry", code="connection_lost")
    except _BROKEN as error:
        if begun:
            return SendResult("unknown", code="connection_lost")
        return SendResult(
            "retry", retry_after=_RETRY_SECONDS, code="tls_failed" if _is_tls(error) else "connection_lost"
        )
    else:
        return SendResult("ok")
    finally:
        if client is not None:
            await _goodbye(client)


async def check_login(
    connected: socket.socket, credentials: tuple[str, str, str], security: str, context: ssl.SSLContext
) -> None:
    """Log in and out; raises ConnectRefused and ProviderUnavailable."""
    try:
        client = await open_smtp(connected, credentials, security, context)
    except SMTPResponseException as error:
        # A code that is none stands for a server that broke off, or spoke nonsense.
        if error.code <= 0 or read_code(error.code).outcome == "retry":
            raise ProviderUnavailable("The SMTP server takes no logins just now. Try again.") from None
        raise ConnectRefused(
            f"The SMTP server refuses this user name and password (its answer {error.code}).", code="login_refused"
        ) from None
    except _BROKEN as error:
        if _is_tls(error):
            words = "The SMTP server's certificate is not valid for its name."
            raise ConnectRefused(words, code="tls_failed") from None
        raise ProviderUnavailable("The SMTP server does not answer as it should just now. Try again.") from None
    await _goodbye(client)


def read_code(code: int) -> SendResult:
    """What an SMTP reply code other than 2xx says of a mail."""
    outcome: Outcome = _BY_CODE.get(code) or ("retry" if code in _TEMPORARY else "fatal")
    return SendResult(outcome, retry_after=_RETRY_SECONDS if outcome == "retry" else None, code=str(code))


def _is_tls(error: BaseException | None) -> bool:
    """Whether TLS is what failed, below whatever aiosmtplib made of it."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


_BY_CODE: Mapping[int, Outcome] = dict.fromkeys(_CREDENTIALS, "reconnect")


async def _goodbye(client: aiosmtplib.SMTP) -> None:
    try:
        async with asyncio.timeout(_STEP_SECONDS):
            await client.quit()
    except _BROKEN:
        pass
    finally:
        client.close()
