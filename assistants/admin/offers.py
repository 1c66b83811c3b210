"""What an assistant may be given, as boxes to tick: a name, a sentence of what it does, and why it cannot be ticked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold.widgets import CHECKBOX_CLASSES

from assistants.catalog.entries import BUILT_IN, unavailable
from assistants.catalog.mcp import ToolListing
from assistants.catalog.models import Function, McpServer

SHOWN = 160  # characters of somebody's description
ALL_OF_SERVER = "All that is allowed, now and later"
Option = tuple[str, "Offer"]
Group = tuple[str, Sequence[Option]]

CONTRACT: dict[str, tuple[str, str]] = {
    "file_search": ("File search", "Searches the files under Knowledge, and cites them."),
    "code_interpreter": (
        "Code interpreter",
        "Runs Python in a sandbox: works with files, computes, draws. Nothing outside is reached.",
    ),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One box.

    :ivar problem: why it does not work now; with ``is_blocked`` it cannot be ticked, only taken back.
    """

    title: str
    note: str = ""
    problem: str = ""
    is_blocked: bool = False

    def __str__(self) -> str:
        return self.title


class Offers(forms.CheckboxSelectMultiple):
    """Boxes in groups. The texts may be somebody else's: the template escapes them.

    :ivar nothing: what is said where there are none.
    """

    input_type = "offers"  # the theme puts a single box before its label: these are many
    nothing = ""

    def _render(self, template_name: str, context: dict[str, Any], renderer: Any = None) -> SafeString:
        classes = " ".join(CHECKBOX_CLASSES)
        return render_to_string(
            "admin/assistants/offers.html", {**context, "nothing": self.nothing, "classes": classes}
        )


class OffersField(forms.MultipleChoiceField):
    """A list of what is ticked. Who did not touch a box changes nothing, whatever somebody else did meanwhile."""

    widget = Offers

    def __init__(self, *, label: str, help_text: str = "") -> None:
        super().__init__(label=label, help_text=help_text, required=False, show_hidden_initial=True)

    def offer(self, choices: Sequence[Any], nothing: str) -> None:
        """:param choices: options, or groups of them."""
        self.choices = choices
        self.widget.nothing = nothing


def contract_tools() -> list[Option]:
    return [(kind, _usable(Offer(*words), kind)) for kind, words in CONTRACT.items()]


def built_in_tools() -> list[Option]:
    return [(kind, _usable(Offer(tool.title, tool.does), kind)) for kind, tool in BUILT_IN.items()]


def library(project_id: str) -> list[Option]:
    functions = Function.objects.filter(project_id=project_id)
    return [(function.pk, Offer(function.name, function.description[:SHOWN])) for function in functions]


def server_tools(project_id: str, chosen: Iterable[str]) -> list[Group]:
    """The tools of all servers of a project, by server; also those that were chosen and are not listed any more.

    :param chosen: values: the id of a server, or id and tool with a slash between.
    """
    servers = McpServer.objects.filter(project_id=project_id)
    return [(_title(server), _of_server(server, list(chosen))) for server in servers]


def _title(server: McpServer) -> str:
    return f"MCP server {server.label}" + ("" if server.enabled else " (disabled: nothing of it is used)")


def _of_server(server: McpServer, chosen: Sequence[str]) -> list[Option]:
    listed = [(f"{server.pk}/{tool.name}", _of_tool(server, tool)) for tool in server.tools]
    known = {value for value, _ in listed}
    gone = [value for value in chosen if value.startswith(f"{server.pk}/") and value not in known]
    lost = [(value, Offer(value.partition("/")[2], problem="It is not listed any more.", is_blocked=True))
            for value in gone]  # fmt: skip
    number = len(server.offered(None))
    return [(server.pk, Offer(ALL_OF_SERVER, f"{number} tool{'' if number == 1 else 's'} now.")), *listed, *lost]


def _of_tool(server: McpServer, tool: ToolListing) -> Offer:
    words = tool.description or tool.title
    problem = tool.problem
    if not problem and server.has_changed(tool):
        problem = "It has changed since it was allowed, and is withheld."
    elif not problem and not server.is_allowed(tool):
        problem = "An administrator has not allowed it."
    return Offer(tool.name, words[:SHOWN], problem, is_blocked=not server.is_allowed(tool))


def _usable(offer: Offer, kind: str) -> Offer:
    reason = unavailable(kind)
    return Offer(offer.title, offer.note, f"Not on this server now: {reason}") if reason else offer
