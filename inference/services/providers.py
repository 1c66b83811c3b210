"""Providers as administrators describe them. Keys go in and never come out; audit rows say that one was set, not which.

A key belongs to the address it was given for: who changes the address has to give the key again, so that nobody can
have it sent to a server of their own. For the same reason a key in an environment variable goes only to the hosts that
the environment names for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction

from inference.models import Engine, Provider
from inference.secrets import KEY_VARIABLE, MAXIMUM_KEY, seal
from inference.services.registry import forget_catalogue
from inference.snapshot import changed
from sovereign.accounts import audit
from sovereign.accounts.models import Project
from sovereign.core.addresses import checked_address
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError

MAXIMUM_PROVIDER_NAME = 64
LONGEST = 86_400  # seconds that an answer may be waited for
PROVIDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")
#: of what environment variables describe
RESERVED_NAMES = frozenset({"external", "openai", "anthropic", "ollama"})
#: what of ``options`` the adapters understand: kind → name → types
OPTIONS: dict[str, dict[str, tuple[type, ...]]] = {
    "openai_compatible": {},
    "openai": {"organization": (str,), "project": (str,)},
    "anthropic": {"max_tokens": (int,), "beta": (str,), "bearer": (bool,), "version": (str,)},
    "ollama": {
        "keep_alive": (str, int),
        **dict.fromkeys(("num_ctx", "num_batch", "num_thread", "num_gpu", "top_k"), (int,)),
        **dict.fromkeys(("repeat_penalty", "min_p"), (int, float)),
    },
}
AT_LEAST_ONE = frozenset({"max_tokens", "num_ctx", "num_batch", "num_thread"})
PATIENCE = ("first_token_seconds", "idle_seconds", "total_seconds")
#: after a change of these its engine has to prove itself anew
RESTARTING = frozenset({"base_url", "key", "key_variable", "inner_network", "enabled"})
LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrent_calls")


class Described(TypedDict, total=False):
    """What an administrator says of a provider; see :class:`inference.models.Provider`."""

    name: str
    base_url: str
    key_variable: str
    enabled: bool
    all_projects: bool
    inner_network: bool
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_calls: int | None
    first_token_seconds: int
    idle_seconds: int
    total_seconds: int
    options: dict[str, Any]


@service
def create_provider(
    *,
    kind: str,
    key: str = "",
    projects: Iterable[Project] = (),
    user_id: int | None = None,
    **described: Unpack[Described],
) -> Provider:
    """A provider and its engine, which the monitor asks from now on.

    :param key: sent to its address; kept encrypted. Not with ``key_variable``.
    :raises ApiError: ``param`` names the field that is wrong.
    """
    provider = Provider(kind=kind, created_at=now())
    apply_description(provider, key=key, **described)
    _save(provider)
    provider.projects.set(projects)
    keep_engine(provider)
    changed()
    audit.record_of_person(
        user_id, "provider.created", provider, **_told(provider), projects=_ids(provider), key=bool(key)
    )
    return provider


@service
def update_provider(
    *,
    provider: Provider,
    key: str | None = None,
    projects: Iterable[Project] | None = None,
    user_id: int | None = None,
    **described: Unpack[Described],
) -> Provider:
    """Change what is given; its kind stays.

    :param key: ``None`` keeps the one it has, ``""`` forgets it.
    :raises ApiError: as ``create_provider``; a new address without its key; a provider of the environment.
    """
    provider = Provider.objects.select_for_update(no_key=True).get(pk=provider.pk)
    _refuse_environment(provider)
    before, had_key, had_projects = _told(provider), provider.sealed_key, _ids(provider)
    apply_description(provider, key=key, **described)
    _save(provider)
    if projects is not None:
        provider.projects.set(projects)
    changes = _changed(before, provider)
    if provider.sealed_key != had_key:
        changes["key"] = "set" if provider.sealed_key else "forgotten"
    if RESTARTING & changes.keys():
        restart_engine(provider)
    Engine.objects.filter(provider=provider).update(name=provider.name)
    changed()
    if (given := _ids(provider)) != had_projects:
        changes["projects"] = given
    if changes:
        audit.record_of_person(user_id, "provider.changed", provider, name=provider.name, changes=changes)
    return provider


def apply_description(provider: Provider, *, key: str | None, **described: Unpack[Described]) -> None:
    """Set the fields of a row, without saving it.

    :raises ApiError: ``param`` names the field that is wrong.
    """
    held, address = provider.sealed_key, provider.base_url
    for field, value in described.items():
        setattr(provider, field, value)
    _check_name(provider)
    if provider.kind not in Provider.Kind.values:
        raise ApiError("This kind of provider does not exist.", param="kind")
    provider.base_url = checked_address(provider.base_url, inner_network=provider.inner_network)
    if provider.key_variable and not KEY_VARIABLE.fullmatch(provider.key_variable):
        raise ApiError(
            "The variable's name ends in _API_KEY, as MISTRAL_API_KEY; those of SOVEREIGN_ are sent to nobody.",
            param="key_variable",
        )
    if provider.key_variable:
        _check_destination(provider)
    _check_numbers(provider)
    _check_options(provider)
    if key is not None or provider.key_variable:
        _set_key(provider, key or "")
    elif held and provider.base_url != address:
        raise ApiError("The address is another one: enter the key again, which will be sent there.", param="key")


@service
def set_enabled(*, provider: Provider, enabled: bool, user_id: int | None = None) -> None:
    """Whether anything is sent to it."""
    update_provider(provider=provider, enabled=enabled, user_id=user_id)


@service
def delete_provider(*, provider: Provider, user_id: int | None = None) -> None:
    """Its engine, its key and its prices go with it, and a hosted one's models that nobody else has.

    :raises ApiError: a provider of the environment whose variable is set.
    """
    if provider.enabled:
        _refuse_environment(provider)
    audit.record_of_person(user_id, "provider.deleted", provider, **_told(provider))
    forget_catalogue(keep_engine(provider))
    provider.delete()


def keep_engine(provider: Provider) -> Engine:
    """The provider's engine, made where it has none."""
    instant = now()
    defaults = {
        "name": provider.name,
        "kind": provider.kind,
        "base_url": provider.base_url,
        "since": instant,
        "created_at": instant,
    }
    engine: Engine = Engine.objects.get_or_create(provider=provider, defaults=defaults)[0]
    return engine


def restart_engine(provider: Provider) -> None:
    """Whatever was known of its engine may be wrong now: it has to prove itself anew."""
    changed()
    engine = keep_engine(provider)
    forgotten: dict[str, Any] = {"served": [], "capabilities": {}} if engine.base_url != provider.base_url else {}
    Engine.objects.filter(pk=engine.pk).update(
        **forgotten,
        name=provider.name,
        kind=provider.kind,
        base_url=provider.base_url,
        state=Engine.State.LOADING,
        reason="",
        since=now(),
        failures=0,
        last_error="",
        last_error_at=None,
        probed_at=None,
        heartbeat_at=None,
        last_token_at=None,
        latency_ms=None,
        running=None,
        waiting=None,
        cache_usage=None,
    )


def _check_name(provider: Provider) -> None:
    provider.name = provider.name.strip()
    if not PROVIDER_NAME.fullmatch(provider.name) or len(provider.name) > MAXIMUM_PROVIDER_NAME:
        raise ApiError("A name is up to 64 letters, digits, spaces, dots and dashes.", param="name")
    if provider.name.lower() in RESERVED_NAMES:
        raise ApiError(
            f"'{provider.name}' is kept for what environment variables describe: take another name.", param="name"
        )


def _check_destination(provider: Provider) -> None:
    """The environment's keys are the operator's: a superuser has them sent where the environment says."""
    if settings.SOVEREIGN.key_goes_to(provider.key_variable, provider.base_url):
        return
    host = urlsplit(provider.base_url).hostname
    raise ApiError(
        f"This variable's key may not be sent to {host}. If that is meant, start every process with "
        f"SOVEREIGN_KEY_VARIABLES={provider.key_variable}={host}.",
        param="key_variable",
    )


def _check_numbers(provider: Provider) -> None:
    for field in PATIENCE:
        if not 1 <= getattr(provider, field) <= LONGEST:
            raise ApiError("One second to a day (86,400 s).", param=field)
    for field in LIMITS:
        if getattr(provider, field) == 0:
            raise ApiError("At least 1, or empty for no limit; to stop all calls, disable it.", param=field)


def _check_options(provider: Provider) -> None:
    known = OPTIONS.get(provider.kind, {})
    if not isinstance(provider.options, dict):
        raise ApiError('Options are a JSON object, such as {"keep_alive": "5m"}.', param="options")
    for name, value in provider.options.items():
        if name not in known or not _is_option(name, value, known[name]):
            words = f"it has {', '.join(known)}" if known else "it has none"
            raise ApiError(f"This kind of provider has no such option as {name!r} with this value; {words}.",
                           param="options")  # fmt: skip


def _is_option(name: str, value: Any, types: tuple[type, ...]) -> bool:
    if type(value) not in types:
        return False
    if isinstance(value, str):
        return 0 < len(value) <= MAXIMUM_PROVIDER_NAME * 4 and value.isascii() and value.isprintable()
    return abs(value) < 2**31 and (name not in AT_LEAST_ONE or value >= 1)


def _set_key(provider: Provider, key: str) -> None:
    key = key.strip()
    if key and provider.key_variable:
        raise ApiError("Either a key or the variable that holds it.", param="key")
    if len(key) > MAXIMUM_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise ApiError("A key is printable ASCII without spaces.", param="key")
    provider.sealed_key = seal(key)


def _save(provider: Provider) -> None:
    try:
        with transaction.atomic():
            provider.save()
    except IntegrityError:
        raise ApiError(f"There is a provider '{provider.name}' already.", param="name") from None


def _refuse_environment(provider: Provider) -> None:
    if provider.source == Provider.Source.ENVIRONMENT:
        raise ApiError(f"'{provider.name}' is set by environment variables: change those, and start again.")


def _told(provider: Provider) -> dict[str, Any]:
    """What audit rows say: everything but the key."""
    return {"kind": provider.kind, **{field: getattr(provider, field) for field in Described.__annotations__}}


def _changed(before: dict[str, Any], provider: Provider) -> dict[str, Any]:
    return {field: value for field, value in _told(provider).items() if before[field] != value}


def _ids(provider: Provider) -> list[str]:
    return sorted(provider.projects.values_list("pk", flat=True))
