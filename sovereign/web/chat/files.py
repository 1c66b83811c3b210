"""What files are called that messages only name by their ids, and which files an assistant can be given."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from assistants.kinds import Capability
from assistants.knowledge.models import File
from assistants.knowledge.parsing.formats import EXTENSIONS
from assistants.snapshots import Content
from inference import pictures
from sovereign.accounts.scopes import FILES_READ
from sovereign.web.chat.answers import Asked, json_page

AT_ONCE = 100  # files that one request may ask for
MOST = 20  # files of one message
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
SEARCH, CODE = "file_search", "code_interpreter"


@json_page("GET")
def files(asked: Asked) -> dict[str, Any]:
    """``?id=…&id=…``: ``{"id", "name", "bytes"}`` of those files of the project that are still there."""
    asked.principal.require(FILES_READ)
    ids = asked.request.GET.getlist("id")[:AT_ONCE]
    found = File.objects.visible_to(asked.principal).filter(pk__in=ids)
    return {"data": [{"id": file.id, "name": file.filename, "bytes": file.bytes} for file in found]}


def limits() -> dict[str, Any]:
    """What the page has to know to refuse a file before it is sent; sizes in bytes."""
    return {
        "bytes": settings.SOVEREIGN.maximum_file_bytes,
        "image_bytes": min(pictures.LARGEST, settings.SOVEREIGN.maximum_file_bytes),
        "files": MOST,
        "images": IMAGES,
        "searchable": sorted(EXTENSIONS),
    }


def taken_by(content: Content, *, sees: bool) -> dict[str, Any]:
    """``{"images", "tools"}``: whether a configuration sees images, and the tools it has for other files.

    :param sees: whether its model does.
    """
    has_tools = Capability.TOOLS in content.capabilities
    types = [tool["type"] for tool in content.tools]
    tools = [kind for kind in (SEARCH, CODE) if kind in types and (has_tools or kind == SEARCH)]
    return {"images": sees and Capability.VISION in content.capabilities, "tools": tools}
