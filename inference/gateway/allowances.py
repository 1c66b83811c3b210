"""What a model call may use: tokens and a place among the calls that run at once, of its key, project and provider."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from inference.calls import CompletionRequest, EmbeddingRequest, ModerationRequest
from inference.chat import Attribution, ChatRequest, InferenceError, TooManyCalls
from inference.models import Provider
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import Demand, Limits, Refusal, Reservation, Subject
from sovereign.core.database import transact_hurriedly

Request = ChatRequest | CompletionRequest | EmbeddingRequest | ModerationRequest

MOST_WITHOUT_BOUND = 4_096  # tokens of an answer, where tokens are limited and the request names no bound
BYTES_OF_TOKEN = 3  # letters: fewer than most words have for a token, so that an estimate is rather too high
WORDS = bytes(set(range(128)) - set(range(33, 127))) + b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
FOREIGN = bytes(range(128, 256))
SCRAMBLED = re.compile(rb"[A-Za-z0-9+/_-]{32,}")  # base64 and the like, which no tokenizer has words for
TOKENS_OF_MESSAGE = 4  # what a chat's template puts around each
TOKENS_OF_PICTURE = 1_000
CALLS = "concurrent_calls"  # the limit's field


@dataclass(frozen=True)
class Wish:
    """What one call is about to use on one engine.

    ``prompt``: about how many tokens it has. ``asks_owner``: whether its key and project have to be asked (they were,
    where another engine was tried before).
    """

    request: Request
    prompt: int
    provider: Provider | None
    context_length: int | None
    asks_owner: bool = True

    @property
    def owners(self) -> tuple[Subject, ...]:
        return owners_of(self.request.attribution) if self.asks_owner else ()

    @property
    def providers(self) -> tuple[Subject, ...]:
        if self.provider is None:
            return ()
        limits = limits_of(self.provider)
        return (Subject("provider", self.provider.pk, limits),) if limits != quotas.NONE else ()

    @property
    def room(self) -> int | None:
        """Tokens of the model's context that are left for an answer, where that is known."""
        return None if self.context_length is None else max(1, self.context_length - self.prompt)

    def demand(self, subjects: Sequence[Subject], *, requests: int) -> Demand:
        """What is to be reserved of these."""
        if not isinstance(self.request, ChatRequest | CompletionRequest):
            return Demand(subjects, requests=requests, tokens=self.prompt)
        asked, room = self.request.max_tokens, self.room
        if asked is not None:
            return Demand(subjects, requests=requests, tokens=self.prompt + min(asked, room or asked))
        most = MOST_WITHOUT_BOUND if room is None else min(MOST_WITHOUT_BOUND, max(quotas.LEAST, room))
        return Demand(subjects, requests=requests, tokens=self.prompt, up_to=most)

    def bound_of(self, *reservations: Reservation | None) -> int | None:
        """The most tokens that the answer may have for what was reserved: none where it has a bound, or needs none.

        The prompt was estimated, and rather too high: where that leaves next to nothing of the model's context, the
        engine knows better where to end.
        """
        if not isinstance(self.request, ChatRequest | CompletionRequest) or self.request.max_tokens is not None:
            return None
        given = [one.tokens - self.prompt for one in reservations if one is not None and one.tokens > self.prompt]
        bound = min(given, default=None)
        return bound if bound is None or self.room is None or bound <= self.room else None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a wish was given: reservations to be settled, and the most tokens that the answer may have (``None``: as
    the request says)."""

    owner: Reservation | None = None
    provider: Reservation | None = None
    bound: int | None = None


@dataclass(frozen=True, slots=True)
class Denial:
    """What a wish was refused. ``by_provider``: another engine may still be asked, with what ``owner`` reserved."""

    refusal: Refusal
    by_provider: bool = False
    owner: Reservation | None = None
    bound: int | None = None

    def error(self) -> InferenceError:
        may_wait = self.refusal.metric == "calls" and not self.refusal.is_final
        kind = TooManyCalls if may_wait else InferenceError
        refusal = self.refusal
        return kind(
            refusal.message,
            quotas.EXCEEDED,
            retry_after=refusal.retry_after,
            headers=refusal.headers,
            type=refusal.type,
        )


def grant(wishes: Sequence[Wish]) -> list[Grant | Denial]:
    """An answer for each wish, in their order; one small query where nobody is limited."""
    limits = quotas.limits_of({subject for wish in wishes for subject in (*wish.owners, *wish.providers)})
    if not limits:
        return [Grant() for _ in wishes]
    if any(wish.providers for wish in wishes):  # both or none of them is asked
        return transact_hurriedly(partial(_reserve, wishes))
    return _reserve(wishes)


def _reserve(wishes: Sequence[Wish]) -> list[Grant | Denial]:
    """Of the owner first, then, where it granted, of the provider."""
    owners = quotas.reserve([wish.demand(wish.owners, requests=0) for wish in wishes])
    answers: list[Grant | Denial] = [
        Denial(answer) if isinstance(answer, Refusal) else Grant(answer, None, wish.bound_of(answer))
        for wish, answer in zip(wishes, owners, strict=True)
    ]
    places = [place for place, wish in enumerate(wishes) if wish.providers and isinstance(answers[place], Grant)]
    demands = [wishes[place].demand(wishes[place].providers, requests=1) for place in places]
    for place, answer in zip(places, quotas.reserve(demands), strict=True):
        wish, owner = wishes[place], answers[place].owner
        if isinstance(answer, Refusal):
            answers[place] = Denial(answer, by_provider=True, owner=owner, bound=wish.bound_of(owner))
        else:
            answers[place] = Grant(owner, answer, wish.bound_of(owner, answer))
    return answers


def owners_of(attribution: Attribution) -> tuple[Subject, ...]:
    """Whose limits count for a call; nobody's for one of the house itself."""
    project = () if attribution.project is None else (Subject("project", attribution.project),)
    return project if attribution.key is None else (Subject("key", attribution.key), *project)


def limits_of(provider: Provider) -> Limits:
    """How far a provider may be used, by all projects together."""
    return Limits(
        requests_per_minute=provider.requests_per_minute,
        tokens_per_minute=provider.tokens_per_minute,
        concurrent_calls=provider.concurrent_calls,
    )


class Places(NamedTuple):
    """How many model calls may run at once, and how many do."""

    most: int
    taken: int


def places(attributions: Collection[Attribution]) -> dict[Subject, Places]:
    """Those of their keys and projects whose model calls are limited; a small query, mostly."""
    subjects = {subject for attribution in attributions for subject in owners_of(attribution)}
    most = {name: limits.concurrent_calls for name, limits in quotas.limits_of(subjects).items()}
    limited = {name: calls for name, calls in most.items() if calls is not None}
    taken = {name: account.used(CALLS) for name, account in quotas.look(limited).items()}
    return {
        subject: Places(limited[subject.name], taken[subject.name]) for subject in subjects if subject.name in limited
    }


# ----------------------------------------------------------------------------------------- estimates


def prompt_tokens(request: Request) -> int:
    """About how many tokens a request has, rather too many than too few: no engine was asked."""
    if isinstance(request, ChatRequest):
        tools = _tokens(str(request.tools)) if request.tools else 0
        return tools + sum(TOKENS_OF_MESSAGE + _tokens(message) for message in request.messages)
    if isinstance(request, CompletionRequest):
        return _tokens(request.prompt)
    if isinstance(request, EmbeddingRequest):
        return sum(map(_tokens, request.texts))
    return sum(map(_tokens, request.inputs))


def _tokens(value: Any) -> int:
    """Of a text, of a list of token ids, of a message or a part of one."""
    if isinstance(value, str):
        return _tokens_of_text(value.encode(errors="surrogatepass"))
    if isinstance(value, list):
        return sum(map(_tokens, value))
    if isinstance(value, dict):
        picture = value.get("type") in ("image_url", "image_file", "image", "input_image")
        return TOKENS_OF_PICTURE if picture else sum(map(_tokens, value.values()))
    return 1 if isinstance(value, int) else 0


def _tokens_of_text(text: bytes) -> int:
    """Words, then what is a token each (digits and signs), then what has more tokens than it looks like: characters
    that are not ASCII, and whatever is scrambled."""
    rest = text.translate(None, WORDS)
    signs = len(rest.translate(None, FOREIGN))
    scrambled = sum(map(len, SCRAMBLED.findall(text)))
    words = (len(text) - len(rest) + scrambled) / BYTES_OF_TOKEN
    return math.ceil(words + signs + (len(rest) - signs) / 2)
