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
    record_pull,
    set_enabled,
    update_provider,
)
from inference.services.registry import (
    add_alias,
    check_fallbacks,
    delete_model,
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
    "check_fallbacks",
    "claim_probe",
    "close_engine",
    "configured_providers",
    "create_provider",
    "delete_model",
    "delete_price",
    "delete_provider",
    "keep_engine",
    "keep_environment",
    "mark_down",
    "open_engine",
    "record_probe",
    "record_pull",
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
