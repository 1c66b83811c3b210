"""Every change of the registry: what engines report about themselves, and what administrators decide.

Several processes report about the same engine at once. All of them write conditionally and with the database's clock,
so that a late report changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from inference.models import Engine, ModelAlias, Provider, RegisteredModel
from inference.resolution import MAXIMUM_NAME
from inference.secrets import seal
from sovereign.accounts import audit
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError

log = structlog.get_logger(__name__)

CONFIGURED = "external"  # the name of the engine that SOVEREIGN_ENGINE_URL points to
MAXIMUM_SERVED = 1_000  # models of one engine that are kept
MAXIMUM_REASON = 500  # characters
FORGOTTEN = timedelta(hours=1)  # a supervised engine without a heartbeat for so long left its row behind
TOKEN_RECORD_INTERVAL = timedelta(seconds=5)

Served = list[dict[str, Any]]


@service
def register_external(*, url: str, key: str = "", name: str = CONFIGURED) -> Engine:
    """Create or update the OpenAI-compatible server that an environment variable describes, and its engine.

    :param url: the address before ``/chat/completions``, usually ending in ``/v1``.
    :raises ApiError: the address is not an http or https one.
    """
    url = url.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or len(url) > MAXIMUM_REASON:
        raise ApiError("The engine's address must be http:// or https://, a host and a path, without credentials.")
    instant = now()
    kind = Provider.Kind.OPENAI_COMPATIBLE
    described = {"base_url": url, "sealed_key": seal(key), "kind": kind, "source": Provider.Source.ENVIRONMENT}
    granted = {"all_projects": True, "inner_network": True, "enabled": True}
    provider, _ = Provider.objects.get_or_create(name=name, defaults={**described, **granted, "created_at": instant})
    engine, created = Engine.objects.get_or_create(
        provider=provider,
        defaults={
            "name": name,
            "kind": kind,
            "base_url": url,
            "sealed_key": seal(key),
            "since": instant,
            "created_at": instant,
        },
    )
    if not created and (engine.base_url != url or engine.key() != key):
        Provider.objects.filter(pk=provider.pk).update(**described)
        engine.base_url, engine.sealed_key = url, seal(key)
        engine.served, engine.capabilities, engine.failures = [], {}, 0
        engine.state, engine.reason, engine.since = Engine.State.LOADING, "", instant
        engine.probed_at = engine.last_token_at = engine.heartbeat_at = None
        engine.save()
    return engine


@service
def synchronise_external() -> None:
    """Make the registry say what ``SOVEREIGN_ENGINE_URL`` says now: no other server of an earlier setting is asked."""
    configuration = settings.SOVEREIGN
    if configuration.engine_url:
        register_external(url=configuration.engine_url, key=configuration.engine_api_key)
    else:
        Provider.objects.filter(name=CONFIGURED, source=Provider.Source.ENVIRONMENT).delete()


@service
def register_models(*, names: Iterable[tuple[str, str, int | None]]) -> None:
    """Make names known: of each its name, its source and its context length in tokens. Known ones stay."""
    wanted = {name: (source, length) for name, source, length in names if 0 < len(name) <= MAXIMUM_NAME}
    known = set(RegisteredModel.objects.filter(name__in=wanted).values_list("name", flat=True))
    instant = now()
    fresh = [
        RegisteredModel(name=name, source=source, context_length=length, created_at=instant)
        for name, (source, length) in wanted.items()
        if name not in known
    ]
    RegisteredModel.objects.bulk_create(fresh, ignore_conflicts=True)


@service
def claim_probe(*, engine_id: str, interval: timedelta) -> bool:
    """Whether the caller is the one monitor that asks this engine now."""
    instant = now()
    due = Engine.objects.filter(pk=engine_id).exclude(probed_at__gt=instant - interval)
    return due.update(probed_at=instant) == 1


@service
def record_probe(*, engine: Engine, served: Served, capabilities: dict[str, Any], token: bool) -> None:
    """The engine answered; ``token``: it also produced one, which is what ready means.

    Nothing happens if the row points elsewhere by now.
    """
    instant = now()
    served = served[:MAXIMUM_SERVED]
    row = Engine.objects.filter(pk=engine.pk, base_url=engine.base_url)
    changed: dict[str, Any] = {"served": served, "capabilities": capabilities, "heartbeat_at": instant}
    if token:
        changed |= {"last_token_at": instant, "failures": 0}
    if row.update(**changed) and token:
        row.exclude(state="ready").update(state="ready", reason="", since=instant)
    register_models(names=[(entry["id"], "", entry["context_length"]) for entry in served])


@service
def mark_down(*, engine_id: str, reason: str, base_url: str | None = None) -> None:
    """The engine does not work, and why in one sentence; ``since`` stays at the first failure."""
    row = Engine.objects.filter(pk=engine_id)
    if base_url is not None:
        row = row.filter(base_url=base_url)
    reason = reason[:MAXIMUM_REASON]
    if not row.exclude(state="down").update(state="down", reason=reason, since=now(), failures=1):
        engine = row.values_list("failures", flat=True).first()
        if engine is not None:
            row.filter(state="down").update(reason=reason, failures=min(engine + 1, 1_000))


@service
def record_token(*, engine_id: str, at: datetime | None = None) -> None:
    """A token was seen in real traffic: better than any probe. Written at most every five seconds."""
    instant = at or now()
    row = Engine.objects.filter(pk=engine_id).exclude(last_token_at__gt=instant - TOKEN_RECORD_INTERVAL)
    row.update(last_token_at=instant)


@service
def set_default_model(*, model: RegisteredModel, user_id: int | None = None) -> None:
    """What new assistants get, and what the names of OpenAI's models stand for."""
    RegisteredModel.objects.filter(is_default=True).exclude(pk=model.pk).update(is_default=False)
    RegisteredModel.objects.filter(pk=model.pk).update(is_default=True)
    audit.record_of_person(user_id, "model.made_default", model, name=model.name)


@service
def add_alias(*, alias: str, model: RegisteredModel, user_id: int | None = None) -> ModelAlias:
    """Another name for ``model``.

    :raises ApiError: the name is taken by another alias, or is no name.
    """
    if not alias.strip() or not alias.isprintable() or len(alias) > MAXIMUM_NAME:
        raise ApiError("An alias is 1 to 200 printable characters.", param="alias")
    try:
        with transaction.atomic():
            made = ModelAlias.objects.create(alias=alias, model=model, created_at=now())
    except IntegrityError:
        raise ApiError(f"The name '{alias}' is already an alias.", param="alias") from None
    audit.record_of_person(user_id, "model_alias.created", made, alias=alias, model=model.name)
    return made


@service
def remove(obj: Engine | RegisteredModel | ModelAlias, *, user_id: int | None = None) -> None:
    """Delete a row of the registry; engines that still work report again, and so come back."""
    audit.record_of_person(user_id, f"{obj._meta.model_name}.deleted", obj, name=str(obj))
    obj.delete()


@service
def open_engine(*, name: str, source: str, context_length: int | None, supervisor_id: str, key: str) -> Engine:
    """The row of an engine that a supervisor is about to start; its model is known from now on."""
    instant = now()
    gone = Q(supervisor_id=supervisor_id) | Q(heartbeat_at__lt=instant - FORGOTTEN)
    Engine.objects.supervised().filter(gone).delete()
    register_models(names=[(name, source, context_length)])
    RegisteredModel.objects.filter(name=name).update(source=source[:MAXIMUM_REASON], context_length=context_length)
    return Engine.objects.create(
        name=name[:MAXIMUM_NAME],
        kind=Engine.Kind.VLLM,
        sealed_key=seal(key),
        served=[{"id": name, "context_length": context_length}],
        capabilities={"tools": True, "json_schema": True, "continuation": True},
        supervisor_id=supervisor_id,
        since=instant,
        heartbeat_at=instant,
        created_at=instant,
    )


@service
def report_engine(
    *, engine_id: str, state: str, reason: str, base_url: str, token: bool = False, served: Served | None = None
) -> bool:
    """A supervisor's heartbeat; false where the row is gone."""
    instant = now()
    row = Engine.objects.filter(pk=engine_id)
    row.exclude(state=state).update(state=state, since=instant)
    changed: dict[str, Any] = {"reason": reason[:MAXIMUM_REASON], "base_url": base_url, "heartbeat_at": instant}
    if token:
        changed["last_token_at"] = instant
    if served:
        changed["served"] = served
    return row.update(**changed) == 1


@service
def close_engine(*, engine_id: str) -> None:
    """Its supervisor ended it."""
    Engine.objects.filter(pk=engine_id).delete()
