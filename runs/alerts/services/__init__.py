"""The only door for changing rules, alerts and what is sent about them."""

from runs.alerts.services.alerts import acknowledge, get_alert
from runs.alerts.services.rules import create_rule, delete_rule, get_rule, update_rule
from runs.alerts.services.trying import try_rule

__all__ = ["acknowledge", "create_rule", "delete_rule", "get_alert", "get_rule", "try_rule", "update_rule"]
