"""The audit log: written inside services, so that what happened and its record are one transaction."""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import Any

import structlog
from django.db import models

from sovereign.accounts.models import AuditEvent, Project
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError
from sovereign.core.visible import storable

REFUSALS_KEPT = 60  # of each who asks, a minute and process: nobody fills the log by being refused
WINDOW = 60.0  # seconds
ID_LENGTH = 64
REFUSAL_LENGTH = 2_000  # characters of its message
LAST = {"more": "Further refusals of this minute are not recorded."}


def record(principal: Principal | None, action: str, obj: models.Model, **details: Any) -> AuditEvent:
    """Record that ``action`` was done to ``obj``; never give a secret as a detail.

    :param principal: who did it; ``None`` for the product itself and its operator's commands.
    :param action: ``"assistant.created"``: the object's kind and a past participle.
    """
    return _write(
        action,
        obj,
        details,
        project_id=_project_of(obj) or (principal.project_id if principal else None),
        user_id=principal.user_id if principal else None,
        key_id=principal.key_id if principal else None,
    )


def record_of_person(user_id: int | None, action: str, obj: models.Model, **details: Any) -> AuditEvent:
    """As ``record``, for what a superuser does outside of any project."""
    return _write(action, obj, details, project_id=_project_of(obj), user_id=user_id)


def refused(principal: Principal, action: str, object_type: str, object_id: str, error: ApiError) -> AuditEvent | None:
    """Record that something was asked for and not done; to be called after what was begun has been rolled back.

    :param action: what was asked for, ``"assistant.deploy"``; the record's action ends with ``_refused``.
    :param object_type: as ``kind_of`` has it.
    :returns: ``None`` where so many of the principal's were kept in this minute that no more are.
    """
    left = _refusals.left((principal.project_id, principal.user_id, principal.key_id))
    if left < 0:
        return None
    return _store(
        f"{action}_refused",
        object_type,
        storable(object_id, ID_LENGTH),
        {"code": error.code, "message": storable(error.message, REFUSAL_LENGTH), **({} if left else LAST)},
        project_id=principal.project_id,
        user_id=principal.user_id,
        key_id=principal.key_id,
    )


def arrival_refused(
    subject: str, reason: str, *, issuer: str, project_id: str | None = None, **details: Any
) -> AuditEvent | None:
    """Record that somebody who logs in elsewhere was not let in, or not connected.

    :param subject: the issuer's lasting name of them.
    :param reason: a code, as :class:`ApiError` has it.
    :returns: ``None`` where so many of the subject's were kept in this minute that no more are.
    """
    left = _refusals.left((issuer, subject))
    if left < 0:
        return None
    told = {"reason": reason, "issuer": issuer, **details, **({} if left else LAST)}
    return _store("user.arrival_refused", "arrival", storable(subject, ID_LENGTH), told, project_id=project_id)


def kind_of(obj: models.Model) -> str:
    """What the log calls such an object: what its model says (``audited_as``), else the model's name."""
    return str(getattr(obj, "audited_as", obj._meta.model_name))


class _Refusals:
    """How many each who asks has had in this minute, in this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[tuple[Any, ...], int] = {}
        self._until = 0.0

    def left(self, who: tuple[Any, ...]) -> int:
        """How many more may be kept after this one; negative: not even this one."""
        with self._lock:
            if (instant := monotonic()) >= self._until:
                self._counts, self._until = {}, instant + WINDOW
            self._counts[who] = self._counts.get(who, 0) + 1
            return REFUSALS_KEPT - self._counts[who]


_refusals = _Refusals()


def _write(action: str, obj: models.Model, details: dict[str, Any], **who: Any) -> AuditEvent:
    return _store(action, kind_of(obj), str(getattr(obj, "audited_id", obj.pk)), details, **who)


def _store(action: str, object_type: str, object_id: str, details: dict[str, Any], **who: Any) -> AuditEvent:
    return AuditEvent.objects.create(
        **who,
        action=action,
        object_type=object_type,
        object_id=object_id,
        details=details,
        request_id=structlog.contextvars.get_contextvars().get("request_id"),
    )


def _project_of(obj: models.Model) -> str | None:
    return obj.pk if isinstance(obj, Project) else getattr(obj, "project_id", None)
