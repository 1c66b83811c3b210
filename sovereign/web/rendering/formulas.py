"""Formulas: LaTeX becomes MathML, which browsers draw and screen readers read."""

from __future__ import annotations

import html
from functools import lru_cache
from xml.etree import ElementTree

import structlog
from latex2mathml.converter import convert_to_element

log = structlog.get_logger(__name__)

LONGEST = 2_000  # characters of a formula
DEEPEST = 40  # braces in each other, which the converter follows one call each


@lru_cache(maxsize=512)
def mathml(source: str, *, is_block: bool) -> str | None:
    """The formula; ``None`` where it is too long, too deep or no LaTeX that is understood."""
    if not source.strip() or len(source) > LONGEST or _depth(source) > DEEPEST:
        return None
    try:
        element = convert_to_element(source, display="block" if is_block else "inline")
    except Exception as error:  # whatever it is: the converter has a dozen ways to refuse what a model made up
        log.debug("formula_not_understood", kind=type(error).__name__)
        return None
    for node in element.iter():  # the converter writes "&#x0003D;" as a text, for others to print as it is
        node.text = html.unescape(node.text) if node.text else node.text
    return ElementTree.tostring(element, encoding="unicode")


def _depth(source: str) -> int:
    deepest = depth = 0
    for character in source:
        depth += {"{": 1, "}": -1}.get(character, 0)
        deepest = max(deepest, depth)
    return max(deepest, source.count("\\left"), source.count("\\begin"), source.count("\\sqrt"), source.count("\\frac"))
