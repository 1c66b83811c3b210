"""Real vLLM servers under a real supervisor: one of the starter model, with runs through a worker; one of vectors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from assistants import services as assistants
from inference import gateway
from inference.adapters import adapter_for
from inference.adapters.base import Endpoint
from inference.adapters.transport import transport
from inference.calls import EmbeddingRequest
from inference.chat import Finished, InferenceError, TextDelta
from inference.engines import guard
from inference.engines.installation import engine_python
from inference.engines.load import read_load
from inference.engines.start import Wanted, supervise
from inference.models import Engine, RegisteredModel
from inference.naming import STARTER_WEIGHTS
from runs.models import Run
from runs.services import control, creation
from sovereign.accounts.principals import Principal
from tests.inference.conftest import collect, in_database, request_for, until
from tests.inference.helpers import configured
from tests.inference.tiny_model import make_adapter, make_embedder, make_model
from tests.runs.conftest import principal as principal  # a fixture
from tests.runs.support import answer_of, asked_calls, types_of, working
from threads import services as threads

pytestmark = [
    pytest.mark.engine,
    pytest.mark.live,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(engine_python() is None, reason="the engine is not installed: manage.py install_engine"),
]

READY_WITHIN = 240.0  # seconds; about 35 on two idle cores
ANSWER_WITHIN = 240.0  # seconds, where others have the cores
ANSWER_TOKENS = 24
COLOURS = ["red", "green"]
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": COLOURS}},
    "required": ["colour"],
    "additionalProperties": False,
}
PAINT = {"name": "paint", "description": "Paint the wall.", "parameters": SCHEMA, "strict": True}


@asynccontextmanager
async def engine_for(wanted: Wanted) -> AsyncIterator[Engine]:
    stop = asyncio.Event()
    task = asyncio.create_task(supervise(wanted, stop=stop))

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


def endpoint_of(engine: Engine) -> Endpoint:
    return Endpoint(engine_id=engine.pk, kind="vllm", base_url=engine.base_url, model=engine.name, key=engine.key())


async def test_the_starter_model_in_a_real_engine(tmp_path: Path, principal: Principal) -> None:
    weights = STARTER_WEIGHTS.joinpath("model.safetensors").exists()
    folder = STARTER_WEIGHTS if weights else make_model(tmp_path / "tiny")
    adapter = make_adapter(tmp_path / "polite", folder)
    wanted = Wanted(model=str(folder), extra=("--enable-lora", "--lora-modules", f"polite={adapter}"))
    with configured(data_dir=tmp_path, engine_python=str(engine_python())):
        async with engine_for(wanted) as engine:
            await answers(engine)
            await continues()
            await refuses()
            await has_an_adapter(engine)
            await asks_for_the_key(engine)
            async with working():
                await runs_are_answered(principal)
                await runs_call_tools(principal)
                await runs_answer_in_json(principal)
                await a_cancelled_run_frees_its_slot(principal, engine)
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


async def has_an_adapter(engine: Engine) -> None:
    """It is a model of its own, and says something else."""
    assert [entry["id"] for entry in engine.served] == [engine.name, "polite"]
    assert engine.served[1]["context_length"] == engine.served[0]["context_length"]
    assert await in_database(RegisteredModel.objects.filter(name="polite").exists)
    said = {}
    for model in (engine.name, "polite"):
        question = request_for("What are you?", model=model, max_tokens=ANSWER_TOKENS, temperature=0)
        said[model], _, _ = await collect(gateway.stream(question))
    assert said["polite"] != said[engine.name]


async def asks_for_the_key(engine: Engine) -> None:
    """Also where vLLM itself would not; and it tells us its load, which the registry has too."""
    origin = engine.base_url.removesuffix("/v1")
    for path in ("/metrics", "/version", "/tokenize", "/v1/models"):
        async with transport().session.get(f"{origin}{path}") as response:
            assert response.status == 401, path
    load = await read_load(endpoint_of(engine))
    assert load is not None
    assert load.finished > 0

    def reported() -> Engine | None:
        return Engine.objects.filter(pk=engine.pk, running__isnull=False, cache_usage__isnull=False).first()

    row = await until(lambda: in_database(reported))
    assert (row.waiting, row.latency_ms is not None) == (0, True)


# runs through a worker


def begin(principal: Principal, text: str, *, tools: Any = None, **asked: Any) -> Run:
    assistant = assistants.create_assistant(principal=principal, model="gpt-4o", tools=tools or [])
    thread = threads.create_thread(principal=principal, messages=[{"role": "user", "content": text}])
    return creation.create_run(principal=principal, thread_id=thread.id, assistant_id=assistant.id, **asked).run


async def reaches(run: Run, *states: str) -> Run:
    def look() -> Run | None:
        return Run.objects.filter(pk=run.pk, status__in=states).first()

    found: Run = await until(lambda: in_database(look), seconds=ANSWER_WITHIN)
    return found


async def runs_are_answered(principal: Principal) -> None:
    """Streamed: piece by piece, before it is over."""
    run = await in_database(begin, principal, "What are you?", temperature=0.0)
    done = await reaches(run, "completed", "incomplete", "failed")
    assert done.status == "completed", done.last_error
    message = await in_database(answer_of, run.pk)
    assert message.content[0]["text"]["value"]
    types = await in_database(types_of, run.pk)
    assert types.count("thread.message.delta") > 1
    assert types[-1] == "thread.run.completed"


async def runs_call_tools(principal: Principal) -> None:
    """The arguments are of the function's schema, and the answer goes on with the output."""
    choice = {"type": "function", "function": {"name": "paint"}}
    tools = [{"type": "function", "function": PAINT}]
    run = await in_database(begin, principal, "Paint the wall red.", tools=tools, tool_choice=choice)
    waiting = await reaches(run, "requires_action", "completed", "incomplete", "failed")
    assert waiting.status == "requires_action", waiting.last_error
    [asked] = asked_calls(waiting)
    assert asked["function"]["name"] == "paint"
    assert json.loads(asked["function"]["arguments"])["colour"] in COLOURS
    outputs = [{"tool_call_id": asked["id"], "output": "done"}]
    await in_database(submit, principal, waiting, outputs)
    assert (await reaches(run, "completed", "incomplete", "requires_action")).status != "failed"


def submit(principal: Principal, run: Run, outputs: list[dict[str, Any]]) -> None:
    control.submit_tool_outputs(principal=principal, thread_id=run.thread_id, run_id=run.pk, tool_outputs=outputs)


async def runs_answer_in_json(principal: Principal) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "wall", "schema": SCHEMA, "strict": True}}
    run = await in_database(begin, principal, "Which colour?", response_format=wanted)
    done = await reaches(run, "completed", "incomplete", "failed")
    assert done.status == "completed", done.last_error
    message = await in_database(answer_of, run.pk)
    assert json.loads(message.content[0]["text"]["value"])["colour"] in COLOURS


async def a_cancelled_run_frees_its_slot(principal: Principal, engine: Engine) -> None:
    """A text that may not end until its context is full, and is computed no further."""
    endless = {
        "type": "json_schema",
        "json_schema": {"name": "endless", "schema": {"type": "array", "items": {"type": "integer"}, "minItems": 900}},
    }
    run = await in_database(begin, principal, "Count.", response_format=endless)
    endpoint = endpoint_of(engine)

    async def busy() -> bool:
        load = await read_load(endpoint)
        return load is not None and load.running > 0

    await until(busy, seconds=ANSWER_WITHIN)
    await in_database(control.cancel_run, principal=principal, thread_id=run.thread_id, run_id=run.pk)
    assert (await reaches(run, "cancelled", "completed", "failed", "incomplete")).status == "cancelled"

    async def free() -> bool:
        load = await read_load(endpoint)
        return load is not None and load.idle

    await until(free)


# vectors


async def test_vectors_of_a_pooling_engine(tmp_path: Path) -> None:
    model = make_embedder(tmp_path / "vectors")
    with configured(data_dir=tmp_path, engine_python=str(engine_python())):
        async with engine_for(Wanted(model=str(model))) as engine:
            assert engine.served[0]["abilities"]["embeddings"]
            assert not engine.abilities("vectors").chat
            endpoint = endpoint_of(engine)
            asked = EmbeddingRequest(model="vectors", texts=["a house", "a garden", "a house"])
            made = await adapter_for("vllm").embed(endpoint, asked)
            first, second, third = made.vectors
            assert len(first) == 64
            assert first == pytest.approx(third, abs=1e-4)
            assert first != pytest.approx(second, abs=1e-4)
            assert made.usage.prompt_tokens > 0
            with pytest.raises(InferenceError):
                async with aclosing(adapter_for("vllm").stream(endpoint, request_for(model="vectors"))) as deltas:
                    [delta async for delta in deltas]
