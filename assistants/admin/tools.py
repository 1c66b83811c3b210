"""The section "Tools" of an assistant's page: boxes to tick, and what is kept of them."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget

from assistants.admin import offers
from assistants.admin.offers import OffersField
from assistants.catalog.entries import BUILT_IN, FETCH, MCP, checked, checked_addresses
from assistants.models import MAXIMUM_TOOLS
from sovereign.accounts.admin.careful import CarefulForm
from sovereign.core.errors import ApiError

ENTRY_FIELDS = ("built_in", "fetch_addresses", "mcp_tools")  # which together are ``server_tools``
SECTION = ("contract_tools", *ENTRY_FIELDS, "functions", "offered_over_mcp", "tools")
LATER = "Once the assistant is saved, {} of its project can be chosen here."
NO_FUNCTIONS = "The project's library has none: they are made under Functions."
NO_SERVERS = "The project has none: its administrators register them under MCP servers."


class ToolsOnForm(CarefulForm):
    """The fields of the section; the form of the page derives from this."""

    catalog_project: str | None = None  # whose functions and servers are offered

    contract_tools = OffersField(label="Tools of the Assistants API")
    built_in = OffersField(label="Tools of this server", help_text="Applications see their calls as function calls.")
    fetch_addresses = forms.CharField(
        label="Addresses to fetch",
        required=False,
        show_hidden_initial=True,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "class": "sv-code", "spellcheck": "false"}),
        help_text="One a line, such as https://api.example.org/v1/: all that begins with it may be read, nothing else.",
    )
    mcp_tools = OffersField(label="MCP servers")
    functions = OffersField(
        label="Functions of the library", help_text="Your application carries them out, as its own functions."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = _chosen(self.instance)
        for name, value in chosen.items():
            self.initial.setdefault(name, value)
        if "contract_tools" in self.fields:
            self._offer(chosen["mcp_tools"])

    def _offer(self, chosen: list[str]) -> None:
        project_id = self.catalog_project
        choices: dict[str, list[Any]] = {
            "contract_tools": offers.contract_tools(),
            "built_in": offers.built_in_tools(),
            "mcp_tools": offers.server_tools(project_id, chosen) if project_id else [],
            "functions": offers.library(project_id) if project_id else [],
        }
        nothing = {
            "mcp_tools": NO_SERVERS if project_id else LATER.format("tools of MCP servers"),
            "functions": NO_FUNCTIONS if project_id else LATER.format("functions"),
        }
        for name, offered in choices.items():
            cast(OffersField, self.fields[name]).offer(offered, nothing.get(name, ""))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "tools" in cleaned and "contract_tools" in cleaned:
            cleaned["tools"] = self._with_contract_tools(cleaned["tools"], cleaned["contract_tools"])
        self._check_functions(cleaned)
        if set(ENTRY_FIELDS) <= cleaned.keys():
            self._check_entries(cleaned)
        return cleaned

    def changed_fields(self) -> set[str]:
        """Of the assistant: what the boxes that were touched mean."""
        touched = set(self.changed_data)
        meant = {"server_tools"} if touched & set(ENTRY_FIELDS) else set()
        return touched | meant | ({"tools"} if "contract_tools" in touched else set())

    def _with_contract_tools(self, tools: Any, ticked: list[str]) -> Any:
        """The list of tools, with and without those whose box was touched; what else was typed in it stays."""
        if not isinstance(tools, list) or "contract_tools" not in self.changed_data:
            return tools
        field = self["contract_tools"]
        shown = field.field.hidden_widget().value_from_datadict(self.data, self.files, field.html_initial_name) or []
        touched = set(ticked) ^ set(shown)
        kept = [tool for tool in tools if not isinstance(tool, dict) or tool.get("type") not in touched - set(ticked)]
        there = {tool.get("type") for tool in kept if isinstance(tool, dict)}
        return [*kept, *({"type": kind} for kind in ticked if kind in touched - there)]

    def _check_functions(self, cleaned: dict[str, Any]) -> None:
        functions, tools = cleaned.get("functions"), cleaned.get("tools")
        if functions and isinstance(tools, list) and len(functions) + len(tools) > MAXIMUM_TOOLS:
            self.add_error("functions", f"With the assistant's own these are more than {MAXIMUM_TOOLS} tools.")

    def _check_entries(self, cleaned: dict[str, Any]) -> None:
        """Put what was ticked together, as it is kept; what is wrong with it is said at its field."""
        addresses = cleaned["fetch_addresses"].split()
        if addresses and FETCH not in cleaned["built_in"]:
            self.add_error("fetch_addresses", "Tick Fetch as well, or take the addresses away.")
            return
        try:
            allowed = checked_addresses(addresses) if FETCH in cleaned["built_in"] else []
        except ApiError as error:
            self.add_error("fetch_addresses", error.message)
            return
        entries = [{"type": kind, **({"addresses": allowed} if kind == FETCH else {})} for kind in cleaned["built_in"]]
        try:
            entries += _entries_of_servers(cleaned["mcp_tools"])
            cleaned["server_tools"] = checked(entries, project_id=self.catalog_project or "")
        except ApiError as error:
            self.add_error("mcp_tools", error.message)


def _chosen(assistant: Any) -> dict[str, Any]:
    """What an assistant has, as the boxes show it."""
    entries = assistant.server_tools
    fetched: list[str] = next((entry["addresses"] for entry in entries if entry["type"] == FETCH), [])
    servers = [entry for entry in entries if entry["type"] == MCP]
    return {
        "contract_tools": [tool["type"] for tool in assistant.tools if tool["type"] in offers.CONTRACT],
        "built_in": [entry["type"] for entry in entries if entry["type"] in BUILT_IN],
        "fetch_addresses": "\n".join(fetched),
        "mcp_tools": [value for entry in servers for value in _values(entry)],
    }


def _values(entry: dict[str, Any]) -> list[str]:
    server_id, names = entry["server_id"], entry["tools"]
    return [server_id] if names is None else [f"{server_id}/{name}" for name in names]


def _entries_of_servers(ticked: list[str]) -> list[dict[str, Any]]:
    """An entry for each server; who ticked all of a server's tools gets all, whatever else is ticked."""
    entries: dict[str, dict[str, Any]] = {}
    for value in ticked:
        server_id, slash, name = value.partition("/")
        entry = entries.setdefault(server_id, {"type": MCP, "server_id": server_id, "tools": []})
        if not slash:
            entry["tools"] = None
        elif entry["tools"] is not None:
            entry["tools"].append(name)
    return list(entries.values())
