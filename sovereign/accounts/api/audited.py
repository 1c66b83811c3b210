"""Views of what matters in operation: what they refuse is in the audit log, too."""

from __future__ import annotations

from http import HTTPStatus
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
        """What was begun has been rolled back by now; the refusal itself is kept, be it of the body or of who asks.

        Not that of a limit: it is counted there, and must not cost more than what it keeps away.
        """
        response = super().handle_exception(exc)
        method = str(self.request.method)
        is_kept = response.status_code < 500 and response.status_code != HTTPStatus.TOO_MANY_REQUESTS
        if is_kept and method not in READING and (who := self._who()):
            told = response.data["error"]
            kind = self.subject.removesuffix("_id")
            action = self.actions.get(method, f"{kind}.{method.lower()}")
            refusal = ApiError(told["message"], code=told["code"])
            audit.refused(who, action, kind, self.kwargs.get(self.subject, UNNAMED), refusal)
        return response

    def _who(self) -> Principal | None:
        principal = getattr(self.request, "auth", None)
        return principal if isinstance(principal, Principal) else None
