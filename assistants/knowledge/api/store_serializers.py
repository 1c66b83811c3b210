"""What the routes of vector stores take."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict

from assistants.knowledge.api.fields import ID_LENGTH, Attributes, ChunkingField, ExpiresAfter
from assistants.knowledge.models import IngestionStatus
from assistants.knowledge.models.stores import DESCRIPTION_LENGTH, NAME_LENGTH
from assistants.knowledge.services.filling import NewFile
from sovereign.core.api.validation import (
    SHOWN,
    Metadata,
    StrictList,
    StrictSerializer,
    StrictString,
    refuse,
    refuse_at,
    supported,
)
from sovereign.core.errors import ApiError

FILES_OF_A_NEW_STORE = 500
FILES_OF_A_BATCH = 2_000


class StoreRequest(StrictSerializer):
    """All of it may be left out."""

    name = StrictString(max_length=NAME_LENGTH, required=False, allow_null=True)
    description = StrictString(max_length=DESCRIPTION_LENGTH, required=False, allow_null=True)
    file_ids = StrictList(
        child=StrictString(max_length=ID_LENGTH), maximum=FILES_OF_A_NEW_STORE, required=False, allow_null=True
    )
    chunking_strategy = ChunkingField(required=False, allow_null=True)
    expires_after = ExpiresAfter(required=False, allow_null=True)
    metadata = Metadata()


class ModifyStoreRequest(StrictSerializer):
    """``null`` takes a name or an expiry away."""

    name = StrictString(max_length=NAME_LENGTH, required=False, allow_null=True)
    expires_after = ExpiresAfter(required=False, allow_null=True)
    metadata = Metadata()


class StoreFileRequest(StrictSerializer):
    """A file for a store, with how it is cut and what is said about it."""

    file_id = StrictString(max_length=ID_LENGTH)
    chunking_strategy = ChunkingField(required=False, allow_null=True)
    attributes = Attributes()


class ModifyStoreFileRequest(StrictSerializer):
    attributes = Attributes(required=True)


class FileBatchRequest(StrictSerializer):
    """Files by their ids alone, with one strategy and the same attributes for all; or each with its own."""

    file_ids = StrictList(child=StrictString(max_length=ID_LENGTH), minimum=1, maximum=FILES_OF_A_BATCH, required=False)
    files = StrictList(child=StoreFileRequest(), minimum=1, maximum=FILES_OF_A_BATCH, required=False)
    chunking_strategy = ChunkingField(required=False, allow_null=True)
    attributes = Attributes()

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        if "file_ids" in attributes and "files" in attributes:
            raise refuse("'file_ids' and 'files' are mutually exclusive in '{param}'.", "mutually_exclusive")
        if "file_ids" not in attributes and "files" not in attributes:
            raise refuse_at("file_ids", "Missing required parameter: '{param}'.", "missing_required_parameter")
        return attributes


def file_of(body: dict[str, Any]) -> NewFile:
    """The file that a checked ``StoreFileRequest`` names."""
    return NewFile(body["file_id"], body.get("attributes"), body.get("chunking_strategy"))


def files_of(body: dict[str, Any]) -> list[NewFile]:
    """Those of a checked ``FileBatchRequest``; what is said beside ``files`` is said of none of them."""
    if "files" in body:
        return [file_of(file) for file in body["files"]]
    return [NewFile(file_id, body.get("attributes"), body.get("chunking_strategy")) for file_id in body["file_ids"]]


def fields_of(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a store that a checked body gives, as the services call them."""
    fields = {name: value for name, value in body.items() if name in ("name", "description", "metadata")}
    if "expires_after" in body:
        fields["expires_after_days"] = body["expires_after"] and body["expires_after"]["days"]
    return fields


def state_asked_for(query: QueryDict) -> str | None:
    """The state that ``filter`` names.

    :raises ApiError: there is no such state.
    """
    state = query.get("filter")
    if state is not None and state not in IngestionStatus.values:
        raise ApiError(
            f"Invalid value: '{state[:SHOWN]}'. Supported values are: {supported(IngestionStatus.values)}.",
            param="filter",
            code="invalid_value",
        )
    return state
