"""Rules of Alice's project, and what people of every role may do with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rest_framework.test import APIClient

from runs.alerts import services
from runs.alerts.services.rules import Written
from sovereign.accounts.principals import Principal
from tests.evaluations.conftest import analyst, api, assistant, client_as, model, principal, registered

__all__ = ["analyst", "api", "assistant", "client_as", "model", "principal", "registered"]

#: more than one run in ten fails, until no more than one in twenty does
FAILING: dict[str, Any] = {
    "name": "It fails",
    "metric": "error_rate",
    "direction": "above",
    "threshold": 0.1,
    "clear_threshold": 0.05,
}


@pytest.fixture(autouse=True)
def json_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """What clients of these tests send is JSON."""
    monkeypatch.setattr(APIClient, "default_format", "json")


@pytest.fixture
def make_rule(principal: Principal) -> Callable[..., Written]:
    """``make_rule(**fields)``: a rule over :data:`FAILING`, with its secret."""
    return lambda **fields: services.create_rule(principal=principal, **{**FAILING, **fields})


@pytest.fixture
def inner_network(settings: Any) -> None:
    """Webhooks may go to this machine, where the receivers of tests are."""
    settings.SOVEREIGN = replace(settings.SOVEREIGN, alerts_inner_network=True)
