"""Every change of the registry: what engines report about themselves, and what administrators decide."""

from inference.services.engines import (
    ask_soon,
    claim_probe,
    close_engine,
    mark_down,
    open_engine,
    record_probe,
    record_token,
    report_engine,
)
from inference.services.environment import EXTERNAL, configured_providers, keep_environment, synchronise_environment
from inference.services.prices import delete_price, set_price
from inference.services.providers import (
    Described,
    apply_description,
    create_provider,
    delete_provider,
    keep_engine,
    set_enabled,
    update_provider,
)
from inference.services.pulls import begin_pull, cancel_pull, claim_pull, end_pull, give_back_pull, keep_pull
from inference.services.registry import (
    add_alias,
    check_fallbacks,
    delete_model,
    record_test,
    register_models,
    remove,
    set_default_model,
    set_fallbacks,
)

__all__ = [
    "EXTERNAL",
    "Described",
    "add_alias",
    "apply_description",
    "ask_soon",
    "begin_pull",
    "cancel_pull",
    "check_fallbacks",
    "claim_probe",
    "claim_pull",
    "close_engine",
    "configured_providers",
    "create_provider",
    "delete_model",
    "delete_price",
    "delete_provider",
    "end_pull",
    "give_back_pull",
    "keep_engine",
    "keep_environment",
    "keep_pull",
    "mark_down",
    "open_engine",
    "record_probe",
    "record_test",
    "record_token",
    "register_models",
    "remove",
    "report_engine",
    "set_default_model",
    "set_enabled",
    "set_fallbacks",
    "set_price",
    "synchronise_environment",
    "update_provider",
]
