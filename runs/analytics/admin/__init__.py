"""How assistants do, in the admin: all of them, one of them with its grade and charts, and what is expected."""

from runs.analytics.admin.pages import AnalyticsAdmin

__all__ = ["AnalyticsAdmin"]
