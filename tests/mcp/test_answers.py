"""What an assistant has said, as MCP clients get it: no dead links, no marks, no picture that vanishes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from assistants.knowledge.models import File
from assistants.knowledge.services import files
from assistants.models import Assistant
from runs.mcp import answers, calls
from runs.models import Run
from sovereign.accounts.principals import Principal
from threads.models import Message

pytestmark = pytest.mark.django_db

PNG = b"\x89PNG\r\n\x1a\nnot really"
TOOL = {"type": "code_interpreter"}


@pytest.fixture
def run(principal: Principal, offer: Callable[..., Assistant]) -> Run:
    return calls.begin(principal, offer().id, {"message": "x"})


@pytest.fixture
def made(principal: Principal) -> Callable[[str, bytes], File]:
    def make(name: str, content: bytes) -> File:
        return files.store_file(principal=principal, purpose="assistants_output", filename=name, chunks=[content])

    return make


def say(run: Run, *content: Any, attached: File | None = None) -> None:
    attachments = [] if attached is None else [{"file_id": attached.id, "tools": [TOOL]}]
    position = Message.objects.of_thread(run.thread_id).count() + 1
    Message.objects.create(
        project_id=run.project_id, thread_id=run.thread_id, run_id=run.id, role="assistant", position=position,
        content=list(content), attachments=attachments,
    )  # fmt: skip


def image(file: File) -> dict[str, Any]:
    return {"type": "image_file", "image_file": {"file_id": file.id, "detail": "auto"}}


def annotated(value: str, **marks: tuple[str, str]) -> dict[str, Any]:
    """A text with annotations: kind → what is marked, and the file's id."""
    annotations = [
        {"type": kind, "text": mark, "start_index": value.index(mark), "end_index": value.index(mark) + len(mark),
         kind: {"file_id": file_id}}
        for kind, (mark, file_id) in marks.items()
    ]  # fmt: skip
    return {"type": "text", "text": {"value": value, "annotations": annotations}}


def address(settings: Any, file: File) -> str:
    return f"{settings.SOVEREIGN.base_url}/v1/files/{file.id}/content"


def test_paths_become_addresses_and_marks_are_left_out(
    principal: Principal, run: Run, made: Callable[..., File], settings: Any
) -> None:
    report, source = made("r.csv", b"a,b\n"), made("a.md", b"No shoes.")
    path, mark = "sandbox:/mnt/data/r.csv", "【4:0†a.md】"
    told = annotated(f"No 🦊{mark}. [report]({path})!", file_path=(path, report.id), file_citation=(mark, source.id))
    say(run, told)
    result = answers.answered(principal, run)
    answer = f"No 🦊. [report]({address(settings, report)})!"
    assert result["content"] == [{"type": "text", "text": answer}]
    assert result["structuredContent"]["answer"] == answer
    named = [{"id": report.id, "name": "r.csv"}, {"id": source.id, "name": "a.md"}]
    assert result["structuredContent"]["files"] == named


def test_a_file_that_was_made_and_is_not_linked_is_named(
    principal: Principal, run: Run, made: Callable[..., File]
) -> None:
    file = made("r.csv", b"a,b\n")
    say(run, annotated("Done."), attached=file)
    assert answers.answered(principal, run)["structuredContent"]["files"] == [{"id": file.id, "name": "r.csv"}]
    file.delete()
    assert answers.answered(principal, run)["structuredContent"]["files"] == []


def test_a_picture_is_shown(principal: Principal, run: Run, made: Callable[..., File]) -> None:
    file = made("plot.png", PNG)
    say(run, image(file), annotated("A line."))
    result = answers.answered(principal, run)
    picture = {"type": "image", "data": base64.b64encode(PNG).decode(), "mimeType": "image/png"}
    assert result["content"] == [{"type": "text", "text": "A line."}, picture]
    assert result["structuredContent"]["files"] == [{"id": file.id, "name": "plot.png"}]


def test_of_a_picture_that_cannot_be_shown_there_is_the_address(
    principal: Principal, run: Run, made: Callable[..., File], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, other = made("1.png", PNG), made("2.png", PNG), made("3.exe", b"MZ")
    say(run, image(first), image(second), image(other), annotated("Lines."))
    monkeypatch.setattr(answers, "MOST_PICTURES", 2 * len(PNG) - 1)
    kinds = [part["type"] for part in answers.answered(principal, run)["content"]]
    assert kinds == ["text", "image", "text", "text"]
    stranger = replace(principal, scopes=principal.scopes - {"files:read"})
    result = answers.answered(stranger, run)
    shown = [f"The picture {file.filename}: {address(settings, file)}" for file in (first, second, other)]
    assert [part["text"] for part in result["content"]] == ["Lines.", *shown]
