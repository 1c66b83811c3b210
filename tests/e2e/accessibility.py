"""What axe finds on a page. Its engine (MPL-2.0) comes with a package for tests alone and is no part of the product."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = ("serious", "critical")
#: WCAG 2.2 A and AA, and what axe counts as good practice
OPTIONS = {"resultTypes": ["violations"]}
SHOWN = 5  # elements that a finding names

_axe = Axe()


def findings(page: Page) -> list[str]:
    """What is grave, a line for each rule that is broken, with the elements that break it."""
    return list(_grave(_axe.run(page, options=OPTIONS).response["violations"]))


def _grave(violations: list[dict[str, Any]]) -> Iterator[str]:
    for violation in violations:
        if violation["impact"] not in GRAVE:
            continue
        nodes = [_told(node) for node in violation["nodes"][:SHOWN]]
        yield f"{violation['id']} ({violation['impact']}, {len(violation['nodes'])}): " + "; ".join(nodes)


def _told(node: dict[str, Any]) -> str:
    why = [check["message"] for kind in ("any", "all", "none") for check in node[kind]]
    return f"{' '.join(map(str, node['target']))} [{why[0] if why else ''}] {node['html'][:160]}"
