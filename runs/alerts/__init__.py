"""Alerts: rules on metrics, what they found, and who is told."""
