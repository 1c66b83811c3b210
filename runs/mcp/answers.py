"""What came of a run as the result of a call: text with addresses that lead somewhere, and pictures.

Paths of a sandbox and marks of sources mean nothing to a client of MCP, and pictures are no text.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from mimetypes import guess_type
from typing import Any

from django.conf import settings

from assistants.knowledge.models import File
from assistants.knowledge.services.files import open_content
from runs.models import Run
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import FILES_READ
from sovereign.core.errors import ApiError
from threads.models import Message

MOST_PICTURES = 4 * 1024 * 1024  # bytes of all pictures of one answer; of others there is the address
FILE_PATH = "file_path"  # the annotation of a path
INCOMPLETE = "The answer is not whole: it ended because of '{}'."

Part = dict[str, Any]
Result = dict[str, Any]  # of ``tools/call``


def text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def failed(message: str, run: Run | None = None) -> Result:
    """A result that says what went wrong, to the model that made the call."""
    told = {} if run is None else {"structuredContent": {"answer": "", "thread_id": run.thread_id, "run_id": run.id}}
    return {"content": [text_part(message)], **told, "isError": True}


def answered(principal: Principal, run: Run) -> Result:
    """A result with what a run has said."""
    messages = list(Message.objects.of_thread(run.thread_id).filter(run_id=run.id).order_by("position"))
    parts = [part for message in messages for part in message.content]
    files = _files(principal, messages)
    answer = "\n\n".join(_text(part["text"]) for part in parts if part["type"] == "text")
    images = [files[id_] for id_ in map(_image_of, parts) if id_ in files]
    structured: dict[str, Any] = {"answer": answer, "thread_id": run.thread_id, "run_id": run.id}
    structured["files"] = [{"id": file.id, "name": file.filename} for file in files.values()]
    content = [text_part(answer), *_pictures(principal, images)]
    if reason := (run.incomplete_details or {}).get("reason"):
        structured["incomplete"] = reason
        content.append(text_part(INCOMPLETE.format(reason)))
    return {"content": content, "structuredContent": structured, "isError": False}


def _text(text: Mapping[str, Any]) -> str:
    """A text with an address for the path of a file that was made, and without the marks of sources."""
    value, end, pieces = text["value"], 0, list[str]()
    for annotation in sorted(text["annotations"], key=lambda one: int(one["start_index"])):
        address = _address(annotation[FILE_PATH]["file_id"]) if annotation["type"] == FILE_PATH else ""
        pieces += [value[end : annotation["start_index"]], address]
        end = annotation["end_index"]
    return "".join([*pieces, value[end:]])


def _files(principal: Principal, messages: Iterable[Message]) -> dict[str, File]:
    """All that is shown, linked, cited or attached and is still there, by its id and in that order."""
    named = dict.fromkeys(id_ for message in messages for id_ in _named_in(message))
    rows = File.objects.visible_to(principal).in_bulk(list(named))
    return {id_: rows[id_] for id_ in named if id_ in rows}


def _named_in(message: Message) -> Iterator[str]:
    for part in message.content:
        if part["type"] == "image_file":
            yield _image_of(part)
        for annotation in part["text"]["annotations"] if part["type"] == "text" else ():
            yield annotation[annotation["type"]]["file_id"]
    for attachment in message.attachments:
        yield attachment["file_id"]


def _image_of(part: Part) -> str:
    return str(part["image_file"]["file_id"]) if part["type"] == "image_file" else ""


def _pictures(principal: Principal, files: Iterable[File]) -> Iterator[Part]:
    """Pictures, as far as there is room and the key may read them; of others the address."""
    room = MOST_PICTURES if principal.allows(FILES_READ) else 0
    for file in files:
        picture = _picture(file) if file.bytes <= room else None
        room -= file.bytes if picture else 0
        yield picture or text_part(f"The picture {file.filename}: {_address(file.id)}")


def _picture(file: File) -> Part | None:
    kind = guess_type(file.filename)[0] or ""
    if not kind.startswith("image/") or file.purpose in settings.SOVEREIGN.no_downloads_of:
        return None
    try:
        with open_content(file) as content:
            return {"type": "image", "data": base64.b64encode(content.read()).decode(), "mimeType": kind}
    except ApiError:  # its bytes are gone
        return None


def _address(file_id: str) -> str:
    """Where the client's key gets a file."""
    return f"{settings.SOVEREIGN.base_url}/v1/files/{file_id}/content"
