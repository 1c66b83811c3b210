"""The library of functions: each is checked when it is kept, so that no run meets one that is wrong."""

from __future__ import annotations

import re
from typing import Any, TypedDict, Unpack

from django.db import IntegrityError, transaction

from assistants.catalog.models import (
    APPROVAL_FUNCTION,
    DESCRIPTION_LENGTH,
    NAME_LENGTH,
    RESERVED,
    Function,
    no_parameters,
)
from assistants.catalog.services.uses import refuse_used
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ASSISTANTS_WRITE
from sovereign.core import strict_schemas
from sovereign.core.api.validation import is_portable
from sovereign.core.database import service, visible_row
from sovereign.core.errors import ApiError, not_found
from sovereign.core.json_schema import SchemaProblem, check_schema, check_size, check_value

NAME = re.compile(rf"[a-zA-Z0-9_-]{{1,{NAME_LENGTH}}}")
MAXIMUM_FUNCTIONS = 1_000  # of a project
MAXIMUM_EXAMPLES = 20
MAXIMUM_EXAMPLE_BYTES = 64 * 1024  # of all of them as JSON
NOT_PORTABLE = "it has a NUL character or a number beyond 64 bits."


class Described(TypedDict, total=False):
    """What is said of a function; see :class:`assistants.catalog.models.Function`."""

    name: str
    description: str
    parameters: dict[str, Any]
    strict: bool
    examples: list[dict[str, Any]]


@service
def create_function(*, principal: Principal, **described: Unpack[Described]) -> Function:
    """:raises ApiError: ``param`` names the field that is wrong."""
    principal.require(ASSISTANTS_WRITE)
    if Function.objects.visible_to(principal).count() >= MAXIMUM_FUNCTIONS:
        raise ApiError(f"A project has at most {MAXIMUM_FUNCTIONS} functions.")
    function = Function(project_id=principal.project_id)
    _save(function, described)
    audit.record(principal, "function.created", function, name=function.name)
    return function


@service
def update_function(*, principal: Principal, function_id: str, **described: Unpack[Described]) -> Function:
    """Change what is given. Runs that were made keep the function that they have. Raises like ``create_function``."""
    principal.require(ASSISTANTS_WRITE)
    function = _locked(principal, function_id)
    _save(function, described)
    audit.record(principal, "function.updated", function, name=function.name, fields=sorted(described))
    return function


@service
def delete_function(*, principal: Principal, function_id: str) -> None:
    """:raises ApiError: an assistant has it."""
    principal.require(ASSISTANTS_WRITE)
    function = _locked(principal, function_id)
    refuse_used(function.project_id, function.id, function.name)
    audit.record(principal, "function.deleted", function, name=function.name)
    function.delete()


def apply_description(function: Function, **described: Unpack[Described]) -> None:
    """Set the fields of a row and check all of them, without saving it.

    :raises ApiError: ``param`` names the field that is wrong.
    """
    for field, value in described.items():
        setattr(function, field, value)
    if not isinstance(function.name, str) or not NAME.fullmatch(function.name):
        raise _wrong("name", f"letters, digits, '_' and '-', at most {NAME_LENGTH} of them.")
    if function.name == APPROVAL_FUNCTION:
        raise _wrong("name", RESERVED)
    if len(function.description) > DESCRIPTION_LENGTH or "\x00" in function.description:
        raise _wrong("description", f"a text of at most {DESCRIPTION_LENGTH:,} characters.")
    check_parameters(function)
    check_examples(function)


def check_parameters(function: Function) -> None:
    """:raises ApiError: no schema of an object's, or none that is strict where it has to be."""
    if not function.parameters:
        function.parameters = no_parameters()
    if not isinstance(function.parameters, dict) or function.parameters.get("type") != "object":
        raise _wrong("parameters", 'a JSON schema of an object, such as {"type": "object", "properties": {}}.')
    if not is_portable(function.parameters):
        raise _wrong("parameters", NOT_PORTABLE)
    try:
        check_schema(function.parameters)
        strict_schemas.check_function(function.as_tool(), 0)
    except SchemaProblem as problem:
        raise _wrong("parameters", str(problem)) from None
    except ApiError as refused:
        raise ApiError(refused.message, param="parameters", code=refused.code) from None


def check_examples(function: Function) -> None:
    """:raises ApiError: an example's arguments break the schema, or it is no example at all."""
    examples = function.examples = function.examples or []
    if not isinstance(examples, list) or len(examples) > MAXIMUM_EXAMPLES:
        raise _wrong("examples", f"a list of at most {MAXIMUM_EXAMPLES} examples.")
    if not is_portable(examples):
        raise _wrong("examples", NOT_PORTABLE)
    try:
        check_size(examples, maximum=MAXIMUM_EXAMPLE_BYTES)
    except SchemaProblem as problem:
        raise _wrong("examples", str(problem)) from None
    for place, example in enumerate(examples):
        _check_example(f"examples[{place}]", example, function.parameters)


def _check_example(where: str, example: Any, schema: dict[str, Any]) -> None:
    if not isinstance(example, dict) or not isinstance(example.get("arguments"), dict):
        raise ApiError(f'{where}: expected {{"arguments": {{…}}, "output": …}}.', param="examples")
    if extra := sorted(set(example) - {"arguments", "output"}):
        raise ApiError(f"{where}: '{extra[0][:NAME_LENGTH]}' is not known.", param="examples")
    try:
        check_value(example["arguments"], schema)
    except SchemaProblem as problem:
        raise ApiError(f"{where}: the arguments break the schema. {problem}", param="examples") from None


def _save(function: Function, described: Described) -> None:
    apply_description(function, **described)
    try:
        with transaction.atomic():
            function.save()
    except IntegrityError:
        raise ApiError(f"There is a function '{function.name}' already.", param="name") from None


def _locked(principal: Principal, function_id: str) -> Function:
    function = visible_row(Function, principal, function_id, lock=True)
    if function is None:
        raise not_found("function", function_id)
    return function


def _wrong(param: str, expected: str) -> ApiError:
    return ApiError(f"Invalid '{param}': {expected}", param=param, code="invalid_value")
