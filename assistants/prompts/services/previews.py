"""What a prompt would say: with sample values, and of a text that is not kept yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistants.prompts import template as language
from assistants.prompts import variables as declarations
from assistants.prompts.variables import BUILT_IN
from sovereign.core.errors import ApiError

SHOWN = 3  # unknown values that an error names


@dataclass(frozen=True, slots=True)
class Preview:
    """
    :ivar values: what each variable that the template names was taken to be.
    :ivar unused: declared variables that the template does not name.
    """

    text: str
    values: dict[str, Any]
    unused: list[str]


def preview(*, template: str, variables: Sequence[dict[str, Any]], values: Mapping[str, Any]) -> Preview:
    """Fill a template in as a run would; nothing is kept.

    :param variables: as ``variables.checked`` gives them.
    :param values: for them, and texts for built-in ones, which are told by ``{name}`` otherwise.
    :raises ApiError: 400, as ``template.fill``; ``unknown_variable`` for a value of no variable.
    """
    declared = [variable["name"] for variable in variables]
    if unknown := sorted(set(values) - set(declared) - BUILT_IN.keys()):
        shown = ", ".join(f"'{name[: declarations.SHOWN]}'" for name in unknown[:SHOWN])
        raise ApiError(f"The prompt has no variable {shown}.", param="values", code="unknown_variable")
    built_in = {name: _sample(name, values.get(name)) for name in BUILT_IN}
    text = language.fill(template, variables, values, built_in)
    named = language.names(template)
    taken = {**built_in, **declarations.settled(variables, values)}
    return Preview(
        text=text,
        values={name: taken[name] for name in taken if name in named},
        unused=[name for name in declared if name not in named],
    )


def tried(template: str, declared: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a page shows beside a text that is being written.

    :returns: ``{"text", "unused"}``, or ``{"field", "message", "unknown"}`` with all names that nobody has declared.
        What is required and not given is told by a sample.
    """
    unknown: list[str] = []
    try:
        variables = declarations.checked(declared)
        named = language.names(template)
        unknown = sorted(named - {variable["name"] for variable in variables} - BUILT_IN.keys())
        known = {variable["name"] for variable in variables} | BUILT_IN.keys()
        shown = preview(
            template=template,
            variables=variables,
            values={name: value for name, value in {**values, **samples(variables, values)}.items() if name in known},
        )
    except ApiError as error:
        return {"field": (error.param or "").partition("[")[0], "message": error.message, "unknown": unknown}
    return {"text": shown.text, "unused": shown.unused}


def samples(variables: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """Something for each variable that is required and for which nothing is given."""
    lacking = declarations.missing(variables, values)
    return {variable["name"]: _sample_of(variable) for variable in variables if variable["name"] in lacking}


def _sample_of(variable: Mapping[str, Any]) -> Any:
    name = f"{{{variable['name']}}}"
    by_type = {"number": 1, "integer": 1, "boolean": True, "list": [f"{name} 1", f"{name} 2"]}
    return variable["choices"][0] if variable["type"] == "choice" else by_type.get(variable["type"], name)


def _sample(name: str, value: Any) -> str:
    if not declarations.is_given(value):
        return f"{{{name}}}"
    text: str = declarations.cast({"name": name, "type": "string"}, value)
    return text
