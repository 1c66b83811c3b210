"""The audit log: written inside services, so that what happened and its record are one transaction."""

from __future__ import annotations

from typing import Any

import structlog
from django.db import models

from sovereign.accounts.models import AuditEvent, Project
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError


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


def refused(principal: Principal, action: str, object_type: str, object_id: str, error: ApiError) -> AuditEvent:
    """Record that something was asked for and not done; to be called after what was begun has been rolled back.

    :param action: what was asked for, ``"assistant.deploy"``; the record's action ends with ``_refused``.
    """
    return _store(
        f"{action}_refused",
        object_type,
        object_id[:64],
        {"code": error.code, "message": error.message},
        project_id=principal.project_id,
        user_id=principal.user_id,
        key_id=principal.key_id,
    )


def _write(action: str, obj: models.Model, details: dict[str, Any], **who: Any) -> AuditEvent:
    return _store(action, str(obj._meta.model_name), str(obj.pk), details, **who)


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
