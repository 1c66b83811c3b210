"""What engines report about themselves, and what others see of them.

Several processes report about the same engine at once. All of them write conditionally and with the database's clock,
so that a late report changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from inference.models import Engine, RegisteredModel
from inference.naming import MAXIMUM_NAME
from inference.secrets import seal
from inference.services.registry import forget_names, register_models
from inference.snapshot import changed
from sovereign.core.database import now, service

MAXIMUM_SERVED = 1_000  # models of one engine that are kept
MAXIMUM_REASON = 500  # characters
FORGOTTEN = timedelta(hours=1)  # a supervised engine without a heartbeat for so long left its row behind
TOKEN_RECORD_INTERVAL = timedelta(seconds=5)
LOAD = frozenset({"running", "waiting", "cache_usage", "latency_ms"})

Served = list[dict[str, Any]]


@service
def claim_probe(*, engine_id: str, interval: timedelta) -> bool:
    """Whether the caller is the one monitor that asks this engine now."""
    instant = now()
    due = Engine.objects.filter(pk=engine_id).exclude(probed_at__gt=instant - interval)
    return due.update(probed_at=instant) == 1


@service
def ask_soon(*, engine_id: str) -> None:
    """What it serves has changed: the monitor's next look asks it."""
    Engine.objects.filter(pk=engine_id).update(probed_at=None)


@service
def record_probe(
    *,
    engine: Engine,
    served: Served,
    capabilities: dict[str, Any],
    token: bool,
    works: bool | None = None,
    load: Mapping[str, Any] | None = None,
) -> None:
    """The engine answered; ``token``: it also produced one. What a hosted one lists no more is forgotten.

    Nothing happens if the row points elsewhere by now.

    :param works: whether it is ready from now on; by default where it produced a token.
    :param load: how busy it said it is, and how long its answer took; what is not said is not known.
    """
    instant = now()
    served = served[:MAXIMUM_SERVED]
    row = Engine.objects.filter(pk=engine.pk, base_url=engine.base_url)
    fields: dict[str, Any] = {"served": served, "capabilities": capabilities, "heartbeat_at": instant}
    fields |= {name: (load or {}).get(name) for name in LOAD}
    works = token if works is None else works
    if token:
        fields["last_token_at"] = instant
    if works:
        fields["failures"] = 0
    before = row.values_list("served", flat=True).first()
    if before is None or not row.update(**fields):
        return
    if works:
        row.exclude(state="ready").update(state="ready", reason="", since=instant)
    names = [(entry["id"], "", entry["context_length"]) for entry in served]
    register_models(names=names, provider=engine.provider)
    forget_names(engine, {entry["id"] for entry in before} - {entry["id"] for entry in served})


@service
def mark_down(*, engine_id: str, reason: str, base_url: str | None = None) -> None:
    """The engine does not work, and why in one sentence; ``since`` stays at the first failure."""
    row = Engine.objects.filter(pk=engine_id)
    if base_url is not None:
        row = row.filter(base_url=base_url)
    reason, instant = reason[:MAXIMUM_REASON], now()
    told: dict[str, Any] = {"reason": reason, "last_error": reason, "last_error_at": instant}
    if not row.exclude(state="down").update(state="down", since=instant, failures=1, **told):
        engine = row.values_list("failures", flat=True).first()
        if engine is not None:
            row.filter(state="down").update(failures=min(engine + 1, 1_000), **told)
    changed()


@service
def record_token(*, engine_id: str, at: datetime | None = None) -> None:
    """A token was seen in real traffic: better than any probe. Written at most every five seconds."""
    instant = at or now()
    row = Engine.objects.filter(pk=engine_id).exclude(last_token_at__gt=instant - TOKEN_RECORD_INTERVAL)
    row.update(last_token_at=instant)


@service
def open_engine(
    *,
    name: str,
    source: str,
    context_length: int | None,
    supervisor_id: str,
    key: str,
    served: Served | None = None,
) -> Engine:
    """The row of an engine that a supervisor is about to start; what it will serve is known from now on."""
    instant = now()
    gone = Q(supervisor_id=supervisor_id) | Q(heartbeat_at__lt=instant - FORGOTTEN)
    Engine.objects.supervised().filter(gone).delete()
    served = served or [{"id": name, "context_length": context_length}]
    register_models(names=[(entry["id"], source, entry["context_length"]) for entry in served])
    RegisteredModel.objects.filter(name=name).update(source=source[:MAXIMUM_REASON], context_length=context_length)
    return Engine.objects.create(
        name=name[:MAXIMUM_NAME],
        kind=Engine.Kind.VLLM,
        sealed_key=seal(key),
        served=served,
        capabilities={"tools": True, "json_schema": True, "continuation": True},
        supervisor_id=supervisor_id,
        since=instant,
        heartbeat_at=instant,
        created_at=instant,
    )


@service
def report_engine(
    *,
    engine_id: str,
    state: str,
    reason: str,
    base_url: str,
    token: bool = False,
    served: Served | None = None,
    load: Mapping[str, Any] | None = None,
) -> bool:
    """A supervisor's heartbeat; false where the row is gone.

    :param load: any of ``running``, ``waiting`` (requests), ``cache_usage`` (0 to 1) and ``latency_ms``.
    """
    instant = now()
    row = Engine.objects.filter(pk=engine_id)
    row.exclude(state=state).update(state=state, since=instant)
    fields: dict[str, Any] = {"reason": reason[:MAXIMUM_REASON], "base_url": base_url, "heartbeat_at": instant}
    if token:
        fields["last_token_at"] = instant
    if served:
        fields["served"] = served
    fields |= {name: value for name, value in (load or {}).items() if name in LOAD}
    if state == Engine.State.DOWN and reason:
        fields |= {"last_error": fields["reason"], "last_error_at": instant}
    changed()
    return row.update(**fields) == 1


@service
def close_engine(*, engine_id: str) -> None:
    """Its supervisor ended it."""
    Engine.objects.filter(pk=engine_id).delete()
    changed()
