"""How something leaves the house: a signed webhook, or a mail.

A receiver is a stranger. Its address is judged again at the socket, no redirect is followed, nothing is unpacked, it
has ten seconds, and of what it answers only the status is used: who may write rules must not read inner servers by it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import smtplib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import aiohttp
from django.core.mail import EmailMessage
from yarl import URL

from runs.alerts.targets import check_target
from sovereign.core.egress import EgressRefused, public_connector

TIMEOUT = 10.0  # seconds until a receiver's status is there
READING = 1.0  # seconds for what it says besides
SENT_AT_ONCE = 16  # by one worker
MAXIMUM_ANSWER = 64 * 1024  # bytes that are read, so that a receiver which tells a little is not cut off
MAXIMUM_HEADERS = 16 * 1024  # bytes of one of them
SECRET_PREFIX = "whsec_"  # noqa: S105 (how Standard Webhooks writes one)
SECRET_BYTES = 32
GONE = 410
UNREADABLE = "The secret of the webhook cannot be read any more. Make a new one."

MAILS = ThreadPoolExecutor(SENT_AT_ONCE, thread_name_prefix="mail")  # a slow mail server keeps no other work waiting


class NotSent(Exception):
    """It could not be sent; the text is one sentence for people, without anything that a stranger wrote."""


class ReceiverGone(NotSent):
    """The receiver wants nothing more, ever."""


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, notice_id: str, timestamp: str, body: bytes) -> str:
    """As Standard Webhooks has it: receivers know that it comes from here, and when.

    :raises NotSent: the secret is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise NotSent(UNREADABLE)
    signed = f"{notice_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


async def post_webhook(url: str, body: bytes, headers: Mapping[str, str], *, inner_network: bool) -> None:
    """:raises NotSent: it was not taken. :raises ReceiverGone: and never will be."""
    try:
        check_target(url, inner_network=inner_network)
        status = await _status_of(url, body, headers, inner_network)
    except TimeoutError:
        raise NotSent(f"The receiver did not answer within {TIMEOUT:.0f} seconds.") from None
    except EgressRefused as refused:
        raise NotSent(str(refused)) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        cause = getattr(error, "os_error", None)
        raise NotSent(str(cause) if isinstance(cause, EgressRefused) else "The receiver cannot be reached.") from None
    _check(status)


def _check(status: int) -> None:
    if 200 <= status < 300:
        return
    if status == GONE:
        raise ReceiverGone("The receiver answered with the status 410: it wants nothing more.")
    if 300 <= status < 400:
        raise NotSent(f"The receiver answered with a redirect ({status}), which is not followed.")
    raise NotSent(f"The receiver answered with the status {status}.")


async def _status_of(url: str, body: bytes, headers: Mapping[str, str], inner_network: bool) -> int:
    session = aiohttp.ClientSession(
        connector=(aiohttp.TCPConnector if inner_network else public_connector)(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        max_line_size=MAXIMUM_HEADERS,
        max_field_size=MAXIMUM_HEADERS,
    )
    own = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "Sovereign"}
    async with session:
        async with asyncio.timeout(TIMEOUT):
            response = await session.post(
                URL(url, encoded=True), data=body, headers={**own, **headers}, allow_redirects=False
            )
        try:
            await _read_a_little(response)
        finally:
            response.close()
        return response.status


async def _read_a_little(response: aiohttp.ClientResponse) -> None:
    """What follows the status changes nothing: neither its end nor that it has none."""
    size = 0
    try:
        async with asyncio.timeout(READING):
            async for piece in response.content.iter_any():
                size += len(piece)
                if size > MAXIMUM_ANSWER:
                    return
    except (aiohttp.ClientError, TimeoutError):
        return


async def send_mail(address: str, subject: str, text: str, message_id: str) -> None:
    """Who is cancelled meanwhile waits until it is known what became of it: a mail on its way cannot be called back.

    Each step of it has its time (EMAIL_TIMEOUT), and it ends by that.

    :raises NotSent: the mail server did not take it.
    """
    message = EmailMessage(subject, text, to=[address], headers={"Message-ID": message_id})
    try:
        await _to_its_end(asyncio.get_running_loop().run_in_executor(MAILS, message.send))
    except TimeoutError:
        raise NotSent("The mail server did not answer in time.") from None
    except smtplib.SMTPRecipientsRefused:
        raise NotSent("The mail server refused the address.") from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise NotSent(f"The mail server did not take it ({type(error).__name__}).") from None


async def _to_its_end(sending: asyncio.Future[int]) -> None:
    try:
        await asyncio.shield(sending)
    except asyncio.CancelledError:
        await asyncio.wait([sending])
        sending.result()
