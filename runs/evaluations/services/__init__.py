"""The only door for changing evaluations."""

from runs.evaluations.services.cases import (
    case_from_run,
    create_case,
    delete_case,
    get_case,
    import_cases,
    update_case,
)
from runs.evaluations.services.running import cancel_run, get_run, start_run
from runs.evaluations.services.sets import create_set, delete_set, get_set, update_set

__all__ = [
    "cancel_run",
    "case_from_run",
    "create_case",
    "create_set",
    "delete_case",
    "delete_set",
    "get_case",
    "get_run",
    "get_set",
    "import_cases",
    "start_run",
    "update_case",
    "update_set",
]
