"""Which of several engines a call goes to: where its beginning is cached, unless that engine has much more to do.

The choice is made in each process by itself, from the calls it has under way and from what engines say of their load.
Every process ranks engines for a conversation alike (rendezvous hashing), and a new engine moves few conversations.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

import orjson

from inference.chat import ChatRequest
from inference.gateway.routing import Candidate

MARGIN = 4  # calls more than the least busy engine has, before a conversation leaves the one that knows it
LEADING_MESSAGES = 2  # by which a conversation without a thread is recognised: instructions and the first question
LEADING_BYTES = 4_096  # of each

#: calls of this process that are under way, by engine
under_way: Counter[str] = Counter()


def ranked(candidates: Sequence[Candidate], conversation: bytes) -> list[Candidate]:
    """The engines in the order in which they are to be tried."""
    if len(candidates) < 2:
        return list(candidates)
    scores = {candidate: _score(conversation, candidate.endpoint.engine_id) for candidate in candidates}
    by_load = sorted(candidates, key=lambda candidate: (load(candidate), scores[candidate]))
    known = min(candidates, key=scores.__getitem__)
    if load(known) - load(by_load[0]) > MARGIN:
        return by_load
    return [known, *(candidate for candidate in by_load if candidate is not known)]


def load(candidate: Candidate) -> int:
    """Calls that the engine has to do: those it told, which may be old, or at least our own."""
    return max(under_way[candidate.endpoint.engine_id], candidate.busy)


def leave(engine_id: str) -> None:
    """A call there is over."""
    under_way[engine_id] -= 1
    if under_way[engine_id] <= 0:
        del under_way[engine_id]


def conversation_of(request: object) -> bytes:
    """What calls have in common whose beginning is the same: the thread, else the first messages of a chat.

    Calls of other kinds have nothing in common.
    """
    if not isinstance(request, ChatRequest):
        return secrets.token_bytes(8)
    if request.attribution.thread is not None:
        return request.attribution.thread.encode()
    digest = blake2b(digest_size=16)
    for message in request.messages[:LEADING_MESSAGES]:
        digest.update(_beginning(message.get("content")))
    return digest.digest()


def _beginning(content: object) -> bytes:
    text = content if isinstance(content, str) else orjson.dumps(content, default=str).decode()
    return text[:LEADING_BYTES].encode(errors="surrogatepass")


def _score(conversation: bytes, engine_id: str) -> bytes:
    return blake2b(conversation + b"\0" + engine_id.encode(), digest_size=8).digest()
