"""How assistants do: fixed words go before those where an assistant's id may stand."""

from runs.analytics.api import health, views

urlpatterns = [*views.patterns, *health.patterns]
