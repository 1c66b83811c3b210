"""Images that are stored files: which model gets their bytes, and what stands in their place elsewhere."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import pytest

from inference import gateway, pictures
from inference.chat import Attribution, InferenceError
from inference.gateway.allowances import TOKENS_OF_PICTURE, prompt_tokens
from tests.inference.conftest import Upstream, collect, in_database, plain, request_for
from tests.inference.helpers import ready_engine

pytestmark = pytest.mark.django_db(transaction=True)

PNG = b"\x89PNG\r\n\x1a\n rest"
FILES = {
    "file-png": PNG,
    "file-jpeg": b"\xff\xd8\xff\xe0 rest",
    "file-gif": b"GIF89a rest",
    "file-webp": b"RIFF\x04\x00\x00\x00WEBPVP8 ",
    "file-svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}
OURS = Attribution(project="proj_1")


@pytest.fixture(autouse=True)
def stored(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], bytes]:
    """Files by project and id, in place of those of the room above."""
    held = {("proj_1", name): content for name, content in FILES.items()}

    async def load(project_id: str, file_id: str, most: int) -> bytes | None:
        if file_id == "file-away":
            raise OSError("no answer")
        content = held.get((project_id, file_id))
        return None if content is None or len(content) > most else content

    monkeypatch.setattr(pictures, "loader", load)
    return held


def named(file_id: str, **more: str) -> dict[str, Any]:
    return {"type": "image_file", "image_file": {"file_id": file_id, **more}}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def asking(*parts: dict[str, Any], role: str = "user") -> Any:
    return request_for(messages=[{"role": role, "content": list(parts)}], attribution=OURS)


async def shown(request: Any) -> list[Any]:
    return [message["content"] for message in (await pictures.shown(request, sees=True)).messages]


async def test_a_model_that_sees_gets_the_bytes(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny", capabilities={"vision": True})
    await collect(gateway.stream(asking(text("What is it?"), named("file-png", detail="low"))))
    (message,) = upstream.requests[-1].body["messages"]
    url = f"data:image/png;base64,{b64encode(PNG).decode()}"
    image = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    assert message["content"] == [text("What is it?"), image]


async def test_a_model_that_does_not_is_told_so(upstream: Upstream) -> None:
    await in_database(ready_engine, upstream.url, "tiny")
    await collect(gateway.stream(asking(text("What is it?"), named("file-png"))))
    (message,) = upstream.requests[-1].body["messages"]
    assert message["content"] == [text("What is it?"), text(pictures.BLIND)]


async def test_each_engine_that_is_asked_gets_what_it_can_take(upstream: Upstream) -> None:
    """The first sees, and fails; the one behind it does not see."""
    await in_database(ready_engine, upstream.url, "tiny", name="first", capabilities={"vision": True})
    await in_database(ready_engine, upstream.url, "tiny", name="second", capabilities={"vision": False})
    upstream.answers(plain(500, b"{}"))
    with pytest.raises(InferenceError):
        await collect(gateway.stream(asking(named("file-png"))))
    sent = [request.body["messages"][0]["content"][0]["type"] for request in upstream.requests]
    assert sorted(sent) == ["image_url", "text"]


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp"])
async def test_the_kind_is_what_the_bytes_say(kind: str) -> None:
    [[part]] = await shown(asking(named(f"file-{kind}")))
    head, _, data = part["image_url"]["url"].partition(",")
    assert (head, b64decode(data)) == (f"data:image/{kind};base64", FILES[f"file-{kind}"])
    assert part["image_url"]["detail"] == "auto"


@pytest.mark.parametrize("file_id", ["file-svg", "file-gone", "file-away"])
async def test_what_is_no_image_or_not_there_is_told(file_id: str) -> None:
    assert await shown(asking(named(file_id))) == [[text(pictures.UNSEEN)]]


async def test_images_of_another_project_or_of_nobody_are_not_there() -> None:
    for project in ("proj_2", None):
        request = request_for(
            messages=[{"role": "user", "content": [named("file-png")]}], attribution=Attribution(project=project)
        )
        assert await shown(request) == [[text(pictures.UNSEEN)]]


async def test_an_answers_images_are_not_sent() -> None:
    """Engines take images in questions only."""
    assert await shown(asking(named("file-png"), role="assistant")) == [[text(pictures.UNSEEN)]]


async def test_the_newest_images_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST", 2)
    kinds = [part["type"] for part in (await shown(asking(*[named("file-png")] * 3)))[0]]
    assert kinds == ["text", "image_url", "image_url"]


async def test_images_have_a_size_alone_and_together(
    monkeypatch: pytest.MonkeyPatch, stored: dict[tuple[str, str], bytes]
) -> None:
    monkeypatch.setattr(pictures, "LARGEST", 2 * len(PNG))
    monkeypatch.setattr(pictures, "TOGETHER", 2 * len(PNG) + 1)
    stored["proj_1", "file-large"] = PNG + b"x" * 2 * len(PNG)
    parts = [named("file-png"), named("file-png"), named("file-large"), named("file-png")]
    assert [part["type"] for part in (await shown(asking(*parts)))[0]] == ["text", "image_url", "text", "image_url"]


def test_tokens_are_reserved_for_an_image() -> None:
    assert prompt_tokens(asking(named("file-png"))) - prompt_tokens(asking()) == TOKENS_OF_PICTURE


async def test_texts_are_left_as_they_are() -> None:
    request = request_for(messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}])
    assert not pictures.has_stored(request)
    assert (await pictures.shown(request, sees=True)).messages == request.messages
