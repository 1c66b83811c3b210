"""What a model call may use: tokens and a place among the calls that run at once, of its key, project and provider."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from inference.calls import CompletionRequest, EmbeddingRequest, ModerationRequest
from inference.chat import Attribution, ChatRequest, InferenceError, TooManyCalls
from inference.models import Provider
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import Demand, Limits, Refusal, Reservation, Subject

Request = ChatRequest | CompletionRequest | EmbeddingRequest | ModerationRequest

MOST_WITHOUT_BOUND = 4_096  # tokens of an answer, where tokens are limited and the request names no bound
BYTES_OF_TOKEN = 3  # fewer than most texts have for a token, so that an estimate is rather too high
TOKENS_OF_MESSAGE = 4  # what a chat's template puts around each
TOKENS_OF_PICTURE = 1_000
CALLS = "concurrent_calls"  # the limit's field


@dataclass(frozen=True)
class Wish:
    """What one call is about to use on one engine.

    ``asks_owner``: whether its key and project have to be asked (they were, where another engine was tried before).
    """

    request: Request
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
    def lacks_bound(self) -> bool:
        """Whether its answer may have as many tokens as it likes."""
        return isinstance(self.request, ChatRequest | CompletionRequest) and self.request.max_tokens is None

    @cached_property
    def prompt(self) -> int:
        return prompt_tokens(self.request)


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
        kind = TooManyCalls if self.refusal.metric == "calls" else InferenceError
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
    left = _tokens_left(limits, wanted=any(wish.lacks_bound for wish in wishes))
    return _reserve([(wish, _tokens_of(wish, left)) for wish in wishes])


def _reserve(wishes: Sequence[tuple[Wish, tuple[int, int | None]]]) -> list[Grant | Denial]:
    """Of the owner first, then, where it granted, of the provider."""
    owners = [Demand(wish.owners, requests=0, tokens=tokens) for wish, (tokens, _) in wishes]
    answers: list[Grant | Denial] = []
    for answer, (_, (_, bound)) in zip(quotas.reserve(owners), wishes, strict=True):
        if isinstance(answer, Refusal):
            answers.append(Denial(answer))
        else:
            answers.append(Grant(answer, None, bound))
    concerned = [
        (place, Demand(wish.providers, requests=1, tokens=tokens))
        for place, (wish, (tokens, _)) in enumerate(wishes)
        if wish.providers and isinstance(answers[place], Grant)
    ]
    for (place, _), answer in zip(concerned, quotas.reserve([demand for _, demand in concerned]), strict=True):
        given = answers[place]
        assert isinstance(given, Grant)
        if isinstance(answer, Refusal):
            answers[place] = Denial(answer, by_provider=True, owner=given.owner, bound=given.bound)
        else:
            answers[place] = Grant(given.owner, answer, given.bound)
    return answers


def _tokens_left(limits: Mapping[str, Limits], *, wanted: bool) -> dict[str, int]:
    """By the names of those whose tokens are limited; nobody looks how many it is where no answer needs a bound."""
    limited = {name: given for name, given in limits.items() if _limits_tokens(given)}
    if not wanted:
        return dict.fromkeys(limited, 0)
    left = {}
    for name, account in quotas.look(limited).items():
        allowances = [account.allowance(metric, limited[name]) for metric in quotas.METRICS if metric.type == "tokens"]
        left[name] = min(allowance.remaining for allowance in allowances if allowance is not None)
    return left


def _tokens_of(wish: Wish, left: dict[str, int]) -> tuple[int, int | None]:
    """How many tokens are to be reserved, and the bound that the answer gets for that: none where it has one."""
    names = [subject.name for subject in (*wish.owners, *wish.providers) if subject.name in left]
    if not names:
        return 0, None
    bound, tokens = None, wish.prompt
    if isinstance(wish.request, ChatRequest | CompletionRequest):
        room = None if wish.context_length is None else max(1, wish.context_length - wish.prompt)
        asked = wish.request.max_tokens
        if asked is None:
            asked = bound = max(1, min(MOST_WITHOUT_BOUND, *(left[name] - wish.prompt for name in names)))
            bound = min(bound, room or bound)
        tokens += min(asked, room or asked)
    for name in names:  # those of the same batch do not count on the same tokens
        left[name] -= tokens
    return tokens, bound


def _limits_tokens(limits: Limits) -> bool:
    return (limits.tokens_per_minute, limits.tokens_per_day) != (None, None)


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


def crowded(attributions: Collection[Attribution]) -> set[Subject]:
    """Of their keys and projects those of which as many model calls run as may at once; a small query, mostly."""
    subjects = {subject for attribution in attributions for subject in owners_of(attribution)}
    most = {name: limits.concurrent_calls for name, limits in quotas.limits_of(subjects).items()}
    limited = {name: calls for name, calls in most.items() if calls is not None}
    full = {name for name, account in quotas.look(limited).items() if account.used(CALLS) >= limited[name]}
    return {subject for subject in subjects if subject.name in full}


# ----------------------------------------------------------------------------------------- estimates


def prompt_tokens(request: Request) -> int:
    """About how many tokens a request has, rather too many than too few: no engine was asked."""
    if isinstance(request, ChatRequest):
        tools = math.ceil(len(orjson.dumps(request.tools)) / BYTES_OF_TOKEN) if request.tools else 0
        return tools + sum(TOKENS_OF_MESSAGE + _tokens(message) for message in request.messages)
    if isinstance(request, CompletionRequest):
        return _tokens(request.prompt)
    if isinstance(request, EmbeddingRequest):
        return sum(map(_tokens, request.texts))
    return sum(map(_tokens, request.inputs))


def _tokens(value: Any) -> int:
    """Of a text, of a list of token ids, of a message or a part of one."""
    if isinstance(value, str):
        return math.ceil(len(value.encode(errors="surrogatepass")) / BYTES_OF_TOKEN)
    if isinstance(value, list):
        return sum(map(_tokens, value))
    if isinstance(value, dict):
        picture = value.get("type") in ("image_url", "image", "input_image")
        return TOKENS_OF_PICTURE if picture else sum(map(_tokens, value.values()))
    return 1 if isinstance(value, int) else 0
