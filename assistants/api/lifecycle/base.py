"""The base of the views about an assistant's life: what they refuse is in the audit log, too."""

from __future__ import annotations

from sovereign.accounts.api.audited import AuditedView


class LifecycleView(AuditedView):
    """A view says what it does to what: ``actions = {"POST": "assistant.deploy"}``, ``subject = "assistant_id"``."""

    subject = "assistant_id"
