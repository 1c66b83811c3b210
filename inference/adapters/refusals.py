"""What an upstream's refusals mean: statuses and bodies of errors, as one sentence and one of our codes.

Nothing that an upstream says is repeated as it is: see :func:`sovereign.core.error_messages.sanitised`.
"""

from __future__ import annotations

import asyncio
import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import orjson

from inference.adapters.base import Endpoint
from inference.chat import EngineBusy, InferenceError
from sovereign.core.error_messages import message_of, sanitised

MAXIMUM_ERROR_BODY = 64 * 1024  # bytes
ERROR_BODY_TIMEOUT = 5.0  # seconds
LONGEST_WAIT = 24 * 3600.0  # seconds that ``retry-after`` is believed

REFUSED_STATUSES = frozenset({400, 413, 422})
OVERLOADED = frozenset({503, 529})  # 529 is Anthropic's
#: what is raised by reading data of the wrong shape
MALFORMED = (ValueError, TypeError, AttributeError, KeyError, IndexError)
#: statuses after which the same request may be sent again: it was not begun
NOT_BEGUN = OVERLOADED | {429}
NO_MODEL = re.compile(
    r"model\b.*\b(not found|does not exist|not exist|unknown)|^model: |model_not_found", re.IGNORECASE
)
#: a 403 that speaks of a model refuses that model, and not our key
A_MODEL = re.compile(r"\bmodels?\b", re.IGNORECASE)

#: what an engine answers that lacks a call, and which calls there are engines without
NO_SUCH_CALL = frozenset({404, 405, 501})
NOT_EVERYWHERE = re.compile(r"(?<!/chat)/completions$|/embeddings$|/moderations$")

TOO_LONG = "The engine sent a longer answer than is accepted."
WRONG_KEY = "The engine refused our key."


async def refusal(response: aiohttp.ClientResponse, endpoint: Endpoint) -> InferenceError:
    """The error that an answer with a status other than 200 means; reads a bounded part of its body."""
    error = await _refusal(response, endpoint)
    error.is_answer = True
    return error


async def _refusal(response: aiohttp.ClientResponse, endpoint: Endpoint) -> InferenceError:
    status = response.status
    if status == 401:
        return InferenceError(WRONG_KEY)
    said = sanitised(await _error_message(response), endpoint.key)
    if status == 403 and not A_MODEL.search(said):
        return InferenceError(WRONG_KEY)
    if status == 404 and endpoint.kind == "ollama" and endpoint.model and NO_MODEL.search(said):
        sentence = f"Ollama does not have the model '{endpoint.model}': pull it there first, with 'ollama pull'."
        return InferenceError(sentence, "model_not_found", param="model")
    if status in NO_SUCH_CALL and NOT_EVERYWHERE.search(response.url.path) and not NO_MODEL.search(said):
        call = response.url.path.rpartition("/")[2]
        return InferenceError(f"The engine has no call for this: it does not know /{call}.", "unsupported")
    return meaning(status, said, retry_after(response))


def meaning(status: int, said: str, wait: float | None = None) -> InferenceError:
    """What a status means, ``said`` being what the upstream said, sanitised."""
    rest = ": " + said if said else "."
    if status == 429:
        return EngineBusy(f"The engine is over its limit{rest}", "rate_limit_exceeded", retry_after=wait)
    if status in OVERLOADED:
        return EngineBusy(f"The engine is overloaded{rest}", retry_after=wait)
    if status == 403 or (status == 404 and NO_MODEL.search(said)):
        return InferenceError(f"The engine does not have this model{rest}", "model_not_found", param="model")
    if status in REFUSED_STATUSES:
        return InferenceError(f"The engine refused the request{rest}", "invalid_prompt")
    return InferenceError(f"The engine answered with status {status}{rest}")


def retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds that the upstream asks to wait, from ``retry-after-ms`` or ``retry-after`` (seconds or a date)."""
    milliseconds = _seconds(response.headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return min(milliseconds / 1_000, LONGEST_WAIT)
    said = response.headers.get("retry-after", "")
    seconds = _seconds(said)
    if seconds is None and said:
        try:
            seconds = max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
        except (ValueError, TypeError, OverflowError):
            return None
    return None if seconds is None else min(seconds, LONGEST_WAIT)


def _seconds(text: str) -> float | None:
    try:
        number = float(text[:32])
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


async def _error_message(response: aiohttp.ClientResponse) -> str:
    """What an error's body says, if it is JSON as OpenAI, Anthropic, Ollama or FastAPI write it."""
    try:
        async with asyncio.timeout(ERROR_BODY_TIMEOUT):
            raw = b""
            while len(raw) < MAXIMUM_ERROR_BODY and (piece := await response.content.read(MAXIMUM_ERROR_BODY)):
                raw += piece
        return message_of(orjson.loads(raw))
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        return ""
