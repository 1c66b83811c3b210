"""The only door for embed keys, and for visitors who come by them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from assistants.embeds.models import LONGEST_MESSAGE, MOST_MESSAGES, EmbedKey, Visitor
from assistants.embeds.origins import checked
from assistants.kinds import Environment
from assistants.models import Assistant, Deployment, LifeStatus
from assistants.resolution import deployed
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE, RUNS_READ, RUNS_WRITE, THREADS_READ, THREADS_WRITE
from sovereign.accounts.services import create_api_key, revoke_api_key
from sovereign.accounts.services.guards import require_in, require_text
from sovereign.accounts.tokens import digest_of
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError

PUBLIC_PREFIX = "pk-sov-"
TOKEN_PREFIX = "vst-"  # noqa: S105 - what a token begins with
TOKEN_LENGTH = len(TOKEN_PREFIX) + 43
VISIT = timedelta(days=30)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AT_REST = (LifeStatus.INACTIVE, LifeStatus.ARCHIVED)  # who is asked nothing more
SEEN_RESOLUTION = timedelta(minutes=1)
SCOPES = (RUNS_READ, RUNS_WRITE, THREADS_READ, THREADS_WRITE)
LIMITS = ("messages_per_hour", "messages_per_day", "longest_message")
CHANGEABLE = frozenset({"name", "origins", "allows_anonymous", *LIMITS})


@dataclass(frozen=True, slots=True)
class Visit:
    """A visitor who was let in: a row of theirs, their embed (with its assistant), and what they may."""

    visitor: Visitor
    embed: EmbedKey

    @property
    def principal(self) -> Principal:
        """It sees nothing but the visitor's own threads and what is on them, and acts as the embed's key."""
        return Principal(
            project_id=self.embed.project_id,
            key_id=self.embed.api_key_id,
            scopes=frozenset(SCOPES),
            environment=self.embed.environment,
            visitor_id=self.visitor.pk,
        )


# ------------------------------------------------------------------------------------------------ keys


@service
def create_embed(
    *,
    principal: Principal,
    assistant: Assistant,
    environment: str,
    name: str,
    origins: Iterable[str],
    allows_anonymous: bool = False,
    **limits: int,
) -> EmbedKey:
    """A key for an assistant that everybody of the project sees, that rests not, and that is deployed to this place.

    :param limits: some of ``LIMITS``; the model's defaults apply else.
    :raises ApiError: 403; 404 for an assistant of another project; 400 for the rest.
    """
    require_in(principal, assistant.project_id, ASSISTANTS_PROMOTE)
    _refuse_unshowable(assistant, environment)
    name = require_text(name, param="name")
    settled = _limits(limits)
    api_key, _ = create_api_key(  # its secret ends here: nobody ever has it
        project=assistant.project,
        name=f"Embed: {name}"[:128],
        scopes=SCOPES,
        environment=environment,
        principal=principal,
    )
    embed = EmbedKey.objects.create(
        project_id=assistant.project_id,
        assistant=assistant,
        environment=environment,
        name=name,
        public_key=PUBLIC_PREFIX + secrets.token_urlsafe(18),
        api_key=api_key,
        origins=checked(origins),
        allows_anonymous=allows_anonymous,
        created_by_id=principal.user_id,
        **settled,
    )
    audit.record(
        principal, "embed.created", embed, assistant=assistant.pk, origins=embed.origins, anonymous=allows_anonymous
    )
    return embed


@service
def change_embed(*, principal: Principal, embed: EmbedKey, **fields: Any) -> EmbedKey:
    """Another name, other sites or other limits; what it shows stays.

    :raises ApiError: 403, 404, and 400 for a key that is revoked, too.
    """
    require_in(principal, embed.project_id, ASSISTANTS_PROMOTE)
    if unknown := sorted(set(fields) - CHANGEABLE):
        raise ApiError(f"'{unknown[0]}' cannot be changed.", param=unknown[0], code="invalid_value")
    row = EmbedKey.objects.select_for_update().get(pk=embed.pk)
    if row.revoked_at is not None:
        raise ApiError("This key was revoked. Make another one.", code="embed_revoked")
    if "name" in fields:
        fields["name"] = require_text(fields["name"], param="name")
    if "origins" in fields:
        fields["origins"] = checked(fields["origins"])
    fields |= _limits({name: value for name, value in fields.items() if name in LIMITS})
    for name, value in fields.items():
        setattr(row, name, value)
    row.save(update_fields=sorted(fields))
    audit.record(principal, "embed.changed", row, **fields)
    return row


@service
def revoke_embed(*, principal: Principal, embed: EmbedKey) -> None:
    """Nobody sees it from now on, and what is open ends within seconds. Revoking twice changes nothing."""
    require_in(principal, embed.project_id, ASSISTANTS_PROMOTE)
    if EmbedKey.objects.filter(pk=embed.pk, revoked_at=None).update(revoked_at=now()):
        revoke_api_key(key=embed.api_key, principal=principal)
        audit.record(principal, "embed.revoked", embed)


def shown(public_key: str) -> EmbedKey | None:
    """The key with this name, with its assistant, where it still shows it."""
    if not public_key.startswith(PUBLIC_PREFIX) or not public_key.isascii():
        return None
    keys = EmbedKey.objects.showing(now()).filter(public_key=public_key)
    found: EmbedKey | None = keys.select_related("assistant").first()
    return found


def answering(embed: EmbedKey) -> Deployment | None:
    """What answers on the key's pages now: ``None`` where it was withdrawn, or the assistant rests."""
    if embed.assistant.status in AT_REST:
        return None
    return deployed(embed.assistant_id, embed.environment, None)


def why_not_shown(assistant: Assistant, environment: str) -> str:
    """What keeps everybody from making an embed of it, in a sentence; empty where nothing does."""
    try:
        _refuse_unshowable(assistant, environment)
    except ApiError as error:
        return error.message
    return ""


def _refuse_unshowable(assistant: Assistant, environment: str) -> None:
    if environment not in Environment.values:
        raise ApiError("There is no such environment.", param="environment", code="invalid_value")
    if assistant.visibility != "project":
        raise ApiError("Its maker keeps this assistant to themselves.", param="assistant", code="invalid_value")
    if assistant.status in AT_REST:
        resting = f"This assistant is {assistant.status} and answers nobody. Make it active first."
        raise ApiError(resting, param="assistant", code="assistant_at_rest")
    if not Deployment.objects.in_service(assistant.pk, environment).exists():
        raise ApiError(
            f"Nothing of this assistant is deployed to {environment}. Deploy a version first.",
            param="environment",
            code="not_deployed",
        )


def _limits(wanted: Mapping[str, Any]) -> dict[str, int]:
    """:raises ApiError: one that is no limit, or out of bounds."""
    settled = {}
    for name, value in wanted.items():
        if name not in LIMITS:
            raise ApiError(f"There is no limit '{name}'.", param=name, code="invalid_value")
        most = LONGEST_MESSAGE if name == "longest_message" else MOST_MESSAGES
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise ApiError(f"Invalid '{name}': expected 1 to {most}.", param=name, code="invalid_value")
        settled[name] = value
    return settled


# ------------------------------------------------------------------------------------------------ visitors


@service
def admit(*, public_key: str) -> tuple[Visitor, str]:
    """A new visitor, and their token: it is stored nowhere.

    A day brings at most as many of them as messages: who asks for tokens and never says anything finds an end, too.

    :raises ApiError: 404; 403 where one needs an account; 429.
    """
    embed = _locked(public_key)
    moment = now()
    _begin_day(embed, moment)
    if embed.day_visitors >= embed.messages_per_day:
        raise _too_many("There were too many visitors today.", embed.day_began_at, DAY, moment)
    Visitor.objects.filter(embed=embed, expires_at__lte=moment).delete()
    embed.day_visitors += 1
    embed.save(update_fields=["day_began_at", "day_messages", "day_visitors"])
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    visitor = Visitor.objects.create(
        embed=embed, digest=digest_of(token), last_seen_at=moment, expires_at=moment + VISIT
    )
    return visitor, token


def visit_of(public_key: str, token: str) -> Visit:
    """Who came with this token to this key, and to no other.

    :raises ApiError: 404 for the key; 401.
    """
    embed = shown(public_key)
    if embed is None:
        raise _gone()
    moment = now()
    well_formed = token.startswith(TOKEN_PREFIX) and len(token) == TOKEN_LENGTH and token.isascii()
    visitors = Visitor.objects.in_force(moment).filter(embed=embed)
    visitor = visitors.filter(digest=digest_of(token)).first() if well_formed and embed.allows_anonymous else None
    if visitor is None:
        raise ApiError(
            "This visit is over. Begin a new conversation.", status=HTTPStatus.UNAUTHORIZED, code="visit_ended"
        )
    if visitor.last_seen_at is None or visitor.last_seen_at <= moment - SEEN_RESOLUTION:
        Visitor.objects.filter(pk=visitor.pk).update(last_seen_at=moment)
    return Visit(visitor, embed)


def still_visits(visitor_id: str) -> bool:
    """Whether what the visitor has open may go on: their key shows it still, and without an account."""
    moment = now()
    keys = EmbedKey.objects.showing(moment).filter(allows_anonymous=True)
    return Visitor.objects.in_force(moment).filter(pk=visitor_id, embed__in=keys).exists()


@service
def count_message(*, visit: Visit, text: str = "") -> None:
    """Take one message off the limits, in the transaction that makes it: what is not made costs nothing.

    :param text: empty where an answer is only gone on with, or made anew: that costs as much as a message.
    :raises ApiError: 400 too long; 404 revoked meanwhile; 429.
    """
    embed = _locked(visit.embed.public_key)
    moment = now()
    if len(text) > embed.longest_message:
        raise ApiError(
            f"A message has at most {embed.longest_message} characters here.",
            param="content",
            code="string_above_max_length",
        )
    _begin_day(embed, moment)
    visitor = Visitor.objects.select_for_update().get(pk=visit.visitor.pk)
    if visitor.hour_began_at is None or visitor.hour_began_at <= moment - HOUR:
        visitor.hour_began_at, visitor.hour_messages = moment, 0
    if visitor.hour_messages >= embed.messages_per_hour:
        raise _too_many("You have asked a lot. Go on a little later.", visitor.hour_began_at, HOUR, moment)
    if embed.day_messages >= embed.messages_per_day:
        raise _too_many("Many have asked here today. Come back later.", embed.day_began_at, DAY, moment)
    visitor.hour_messages += 1
    embed.day_messages += 1
    visitor.save(update_fields=["hour_began_at", "hour_messages"])
    embed.save(update_fields=["day_began_at", "day_messages", "day_visitors"])


def _locked(public_key: str) -> EmbedKey:
    """The key until the end of the transaction: what it allows is counted by one at a time.

    :raises ApiError: 404; 403 where one needs an account.
    """
    embed = shown(public_key)
    if embed is None:
        raise _gone()
    embed = EmbedKey.objects.select_for_update(no_key=True, of=("self",)).get(pk=embed.pk)
    if embed.revoked_at is not None:
        raise _gone()
    if not embed.allows_anonymous:
        raise ApiError("One needs an account here.", status=HTTPStatus.FORBIDDEN, code="account_needed")
    return embed


def _gone() -> ApiError:
    return ApiError("This chat is not offered any more.", status=HTTPStatus.NOT_FOUND, code="embed_gone")


def _begin_day(embed: EmbedKey, moment: datetime) -> None:
    if embed.day_began_at is None or embed.day_began_at <= moment - DAY:
        embed.day_began_at, embed.day_messages, embed.day_visitors = moment, 0, 0


def _too_many(words: str, since: datetime | None, span: timedelta, moment: datetime) -> ApiError:
    wait = max(1, int(((since or moment) + span - moment).total_seconds()))
    return ApiError(
        words,
        status=HTTPStatus.TOO_MANY_REQUESTS,
        type="rate_limit_error",
        code="rate_limit_exceeded",
        headers={"Retry-After": str(wait), "x-should-retry": "false"},
    )
