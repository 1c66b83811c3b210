"""One start of a real vLLM: it is supervised, answers, goes on from a cut answer, refuses, and ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from django.conf import settings

from inference import gateway
from inference.chat import Finished, InferenceError, TextDelta
from inference.engines import guard
from inference.engines.installation import engine_python
from inference.engines.supervisor import supervise
from inference.models import Engine
from inference.resolution import STARTER_WEIGHTS
from tests.inference.conftest import collect, in_database, request_for, until
from tests.inference.helpers import configured
from tests.inference.tiny_model import make_model

pytestmark = [
    pytest.mark.engine,
    pytest.mark.live,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(engine_python() is None, reason="the engine is not installed: manage.py install_engine"),
]

READY_WITHIN = 240.0  # seconds; about 35 on two idle cores
ANSWER_TOKENS = 24


@asynccontextmanager
async def engine_for(model: str) -> AsyncIterator[Engine]:
    stop = asyncio.Event()
    task = asyncio.create_task(supervise(model, stop=stop))

    def look() -> Engine | None:
        if task.done():
            task.result()
        return Engine.objects.filter(state="ready").first()

    try:
        yield await until(lambda: in_database(look), seconds=READY_WITHIN)
    finally:
        stop.set()
        await asyncio.gather(task, return_exceptions=True)
        await gateway.close()


async def test_a_real_engine(tmp_path: Path) -> None:
    weights = STARTER_WEIGHTS.joinpath("model.safetensors").exists()
    model = "" if weights else str(make_model(tmp_path / "tiny"))
    with configured(data_dir=tmp_path, engine_python=str(engine_python())):
        async with engine_for(model) as engine:
            await answers(engine)
            await continues()
            await refuses()
            slot = next((tmp_path / "engines").iterdir())
            session = json.loads((slot / "guard.json").read_text())["pid"]
            assert guard.session_members(session)
        assert guard.session_members(session) == []
        assert not await in_database(Engine.objects.exists)
    assert settings.SOVEREIGN.data_dir != tmp_path


async def answers(engine: Engine) -> None:
    """OpenAI's names lead to it; usage is vLLM's own count."""
    availability = await in_database(gateway.availability, "gpt-4o")
    assert availability.capabilities.continuation
    assert availability.capabilities.context_length == engine.served[0]["context_length"]
    question = request_for("What are you?", model="gpt-4o", max_tokens=ANSWER_TOKENS, temperature=0)
    _, last, everything = await collect(gateway.stream(question))
    assert isinstance(last, Finished)
    assert last.usage.prompt_tokens > 0
    assert 1 <= last.usage.completion_tokens <= ANSWER_TOKENS
    assert len(everything) > 1


async def continues() -> None:
    """What was committed of an answer, and what the engine says after it, are a whole answer."""
    messages = [{"role": "user", "content": "What are you?"}]
    whole = request_for(model="gpt-4o", messages=messages, max_tokens=ANSWER_TOKENS, temperature=0)
    deltas = [delta async for delta in gateway.stream(whole)]
    pieces = [delta.text for delta in deltas if isinstance(delta, TextDelta)]
    text = "".join(pieces)
    cut = "".join(pieces[: len(pieces) // 2])
    rest = request_for(
        model="gpt-4o",
        messages=[*messages, {"role": "assistant", "content": cut}],
        continues=True,
        max_tokens=ANSWER_TOKENS,
        temperature=0,
    )
    continued, last, _ = await collect(gateway.stream(rest))
    assert last is not None
    assert not continued.lstrip().startswith("assistant"), "it goes on, and does not begin a turn"
    if "\ufffd" not in text:
        assert (cut + continued).startswith(text)


async def refuses() -> None:
    """A conversation that is too long is the caller's fault, and the engine's sentence says so."""
    with pytest.raises(InferenceError) as caught:
        await collect(gateway.stream(request_for("word " * 5_000, model="gpt-4o")))
    assert caught.value.code == "invalid_prompt"
    assert "context length" in caught.value.message
