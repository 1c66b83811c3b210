"""Views of what matters in operation: what they refuse is in the audit log, too."""

from __future__ import annotations

from typing import ClassVar

from rest_framework.response import Response

from sovereign.accounts import audit
from sovereign.accounts.api.base import READING, ApiView
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError

UNNAMED = ""  # the object of what would have been made


class AuditedView(ApiView):
    """A view says what it does to what: ``actions = {"POST": "assistant.deploy"}``, ``subject = "assistant_id"``."""

    actions: ClassVar[dict[str, str]] = {}
    subject: ClassVar[str]

    def handle_exception(self, exc: Exception) -> Response:
        """What was begun has been rolled back by now; the refusal itself is kept."""
        method = str(self.request.method)
        if isinstance(exc, ApiError) and exc.status < 500 and method not in READING and (who := self._who()):
            action = self.actions.get(method, f"{self.subject.removesuffix('_id')}.{method.lower()}")
            audit.refused(who, action, action.partition(".")[0], self.kwargs.get(self.subject, UNNAMED), exc)
        return super().handle_exception(exc)

    def _who(self) -> Principal | None:
        principal = getattr(self.request, "auth", None)
        return principal if isinstance(principal, Principal) else None
