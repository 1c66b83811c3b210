"""Alerts in the admin: the rules, what they found, and what was sent."""

from runs.alerts.admin.alerts import AlertAdmin
from runs.alerts.admin.rules import AlertRuleAdmin

__all__ = ["AlertAdmin", "AlertRuleAdmin"]
