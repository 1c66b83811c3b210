"""``code_interpreter`` in a run, in a real sandbox: its step, its files, its pictures, and what outlives a call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rest_framework.test import APIClient

from assistants import services as assistants
from assistants.knowledge import storage
from assistants.knowledge.models import File
from assistants.models import Assistant
from runs.models import Run, RunEvent, RunStep, ToolUse
from runs.sandbox import limits
from runs.tools import code_interpreter
from runs.tools.base import INTERRUPTED
from runs.tools.interpreter import hosting, outputs, products
from sovereign.accounts import credentials
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database
from tests.runs.interpreting import (
    NAME,
    TOOL,
    calls_code,
    content_of,
    finished,
    logs_of,
    make_file,
    runs_code,
    sandbox,
    shown_logs,
    told_by,
    work_of,
)
from tests.runs.support import (
    Gate,
    Model,
    answer_of,
    call,
    end,
    ended,
    kill,
    names,
    payloads,
    steps_of,
    streamed_text,
    text,
    until,
    within,
    working,
)
from threads import services as threads
from threads.models import Message, Thread

__all__ = ["sandbox"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sandbox")]

PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2, 4])\nplt.show()"


@pytest.fixture
def coder(principal: Principal, registered: Any) -> Assistant:
    """An assistant that runs code."""
    return assistants.create_assistant(principal=principal, model="tiny", instructions="Be brief.", tools=[TOOL])


@pytest.fixture
def run(begin: Callable[..., Run], coder: Assistant) -> Run:
    return begin(assistant_id=coder.id)


def outcomes_of(run_id: str) -> list[str]:
    """What came of the run's calls, as its steps keep it; the rows that are counted say the same."""
    kept = [str(entry["outcome"]) for step in steps_of(run_id) for entry in step.asked.values()]
    uses = ToolUse.objects.filter(run_id=run_id).order_by("created_at", "id")
    assert list(uses.values_list("outcome", flat=True)) == kept
    return kept


async def test_code_and_its_output_in_the_contracts_order(model: Model, run: Run) -> None:
    code = "print('a')\nprint('b')\n6 * 7"
    runs_code(model, code)
    async with working():
        over = await finished(run)
    assert await in_database(names, run.id) == [
        *("run.created", "run.queued", "run.in_progress"),
        *("run.step.created", "run.step.in_progress", "run.step.delta", "run.step.completed"),
        *("run.step.created", "run.step.in_progress", "message.created", "message.in_progress", "message.delta"),
        *("message.completed", "run.step.completed", "run.completed"),
    ]
    assert (over.prompt_tokens, over.completion_tokens) == (50, 11)
    deltas = [
        delta["delta"]["step_details"]["tool_calls"][0]
        for delta in await in_database(payloads, run.id, "run.step.delta")
    ]
    call_id = deltas[0]["id"]
    assert deltas[0] == {"index": 0, "id": call_id, "type": NAME, NAME: {"input": "", "outputs": []}}
    inputs = [delta[NAME]["input"] for delta in deltas[1:] if "input" in delta[NAME]]
    shown = [output for delta in deltas[1:] for output in delta[NAME].get("outputs", ())]
    assert "".join(inputs) == code
    assert "".join(output["logs"] for output in shown) == "a\nb\n42\n"
    assert {(output["index"], output["type"]) for output in shown} == {(0, "logs")}
    assert all(delta.keys() == {"index", "type", NAME} for delta in deltas[1:])
    (step, _) = await in_database(steps_of, run.id)
    assert step.tool_calls == [
        {"id": call_id, "type": NAME, NAME: {"input": code, "outputs": [{"type": "logs", "logs": "a\nb\n42\n"}]}}
    ]
    assert told_by(model) == ["a\nb\n42"]
    sent = model.requests[-1].messages[-2]["tool_calls"][0]["function"]
    assert (sent["name"], sent["arguments"]) == (NAME, "{\"code\":\"print('a')\\nprint('b')\\n6 * 7\"}")
    use = await in_database(ToolUse.objects.get)
    assert (use.kind, use.outcome, use.call_id) == (NAME, "ok", call_id)


async def test_a_picture_is_a_file_and_stands_before_the_answers_text(model: Model, run: Run) -> None:
    runs_code(model, f"print('Look:')\n{PLOT}", answer=("A ", "line."))
    async with working():
        await finished(run)
    (work,) = await in_database(work_of, run.id)
    image_id = work["outputs"][1]["image"]["file_id"]
    assert work["outputs"] == [
        {"type": "logs", "logs": "Look:\n"},
        {"type": "image", "image": {"file_id": image_id}},
    ]
    file = await in_database(File.objects.get, pk=image_id)
    assert (file.purpose, file.project_id) == ("assistants_output", run.project_id)
    assert (await in_database(content_of, image_id)).startswith(b"\x89PNG")
    message = await in_database(answer_of, run.id)
    image = {"type": "image_file", "image_file": {"file_id": image_id, "detail": "auto"}}
    assert message.content == [image, {"type": "text", "text": {"value": "A line.", "annotations": []}}]
    assert message.attachments == []
    parts = [delta["delta"]["content"][0] for delta in await in_database(payloads, run.id, "message.delta")]
    assert parts[0] == {"index": 0, **image}
    assert [part["index"] for part in parts[1:]] == [1] * (len(parts) - 1)
    assert "[An image was shown to the user.]" in told_by(model)[0]


async def test_a_file_that_was_made_is_linked_and_attached(model: Model, run: Run, api: APIClient) -> None:
    path = "sandbox:/mnt/data/sums.csv"
    runs_code(
        model,
        "open('/mnt/data/sums.csv', 'w').write('a,b\\n1,2\\n')\nNone",
        answer=("Here: [sums](sand", "box:/mnt/da", "ta/sums.csv", ") 🦊"),
    )
    async with working():
        await finished(run)
    (file,) = await in_database(lambda: list(File.objects.filter(purpose="assistants_output")))
    assert (file.filename, await in_database(content_of, file.id)) == ("sums.csv", b"a,b\n1,2\n")
    message = await in_database(answer_of, run.id)
    (part,) = message.content
    start = len("Here: [sums](")
    annotation = {"type": "file_path", "text": path, "start_index": start, "end_index": start + len(path)}
    annotation["file_path"] = {"file_id": file.id}
    assert part["text"] == {"value": f"Here: [sums]({path}) 🦊", "annotations": [annotation]}
    assert message.attachments == [{"file_id": file.id, "tools": [TOOL]}]
    deltas = [delta["delta"]["content"][0]["text"] for delta in await in_database(payloads, run.id, "message.delta")]
    assert [delta for delta in deltas if delta.get("annotations")] == [
        {"value": path, "annotations": [{"index": 0, **annotation}]}
    ]
    assert told_by(model) == [f"{code_interpreter.SILENT}\nFiles that were made: {path}"]
    answer = await in_database(api.get, f"/v1/files/{file.id}/content")
    assert b"".join(answer.streaming_content) == b"a,b\n1,2\n"


async def test_what_only_the_model_is_told_no_client_sees(model: Model, run: Run, api: APIClient) -> None:
    runs_code(model, "open('/mnt/data/a.txt', 'w').write('a')")
    async with working():
        await finished(run)
    answer = await in_database(api.get, f"/v1/threads/{run.thread_id}/runs/{run.id}/steps")
    assert b"kept" not in answer.content
    assert not await in_database(RunEvent.objects.filter(data__icontains="kept").exists)
    assert await in_database(RunStep.objects.filter(asked__icontains="kept").exists)


async def test_variables_and_files_stay_for_the_threads_next_run(
    model: Model, run: Run, begin: Callable[..., Run], coder: Assistant
) -> None:
    runs_code(model, "x = 20\nopen('/mnt/data/x.txt', 'w').write('x')\nNone", "print(x + 1)")
    runs_code(model, "print(x + 2, open('/mnt/data/x.txt').read())")
    async with working():
        await finished(run)
        second = await in_database(begin, assistant_id=coder.id)
        await finished(second)
    assert await in_database(logs_of, run.id) == ["", "21\n"]
    assert await in_database(logs_of, second.id) == ["22 x\n"]
    assert "new session" not in told_by(model)[0]
    assert await in_database(File.objects.count) == 1, "what did not change is no new file"


async def test_of_a_lost_session_the_model_is_told(
    model: Model, run: Run, begin: Callable[..., Run], coder: Assistant
) -> None:
    runs_code(model, "x = 20")
    runs_code(model, "print(x)")
    async with working():
        await finished(run)
        await hosting.close()
        second = await in_database(begin, assistant_id=coder.id)
        await finished(second)
    (told,) = told_by(model)
    assert "NameError" in told
    assert told.endswith(code_interpreter.FRESH)
    assert code_interpreter.FRESH not in (await in_database(logs_of, second.id))[0]


async def test_files_of_the_assistant_and_of_the_thread_are_there(
    model: Model, principal: Principal, registered: Any, begin: Callable[..., Run], thread: Thread, charlies_key: str
) -> None:
    def prepare() -> Run:
        mine, its = make_file(principal, "data.csv", b"1"), make_file(principal, "../data.csv", b"22")
        resources = {"code_interpreter": {"file_ids": [mine.id]}}
        assistant = assistants.create_assistant(
            principal=principal, model="tiny", instructions="x", tools=[TOOL], tool_resources=resources
        )
        attachments = [{"file_id": its.id, "tools": [TOOL]}]
        threads.create_message(
            principal=principal, thread_id=thread.id, role="user", content="This.", attachments=attachments
        )
        return begin(assistant_id=assistant.id)

    run = await in_database(prepare)
    runs_code(model, "import os\nfor n in sorted(os.listdir('/mnt/data')): print(n, open('/mnt/data/' + n).read())")
    async with working():
        await finished(run)
    assert await in_database(logs_of, run.id) == ["data (2).csv 22\ndata.csv 1\n"]
    (definition,) = model.requests[0].tools
    assert "/mnt/data/data.csv, /mnt/data/data (2).csv" in definition["function"]["description"]
    assert await in_database(File.objects.filter(purpose="assistants_output").count) == 0


async def test_a_file_whose_content_is_gone_is_told(
    model: Model, principal: Principal, coder: Assistant, begin: Callable[..., Run]
) -> None:
    def prepare() -> Run:
        lost, there = make_file(principal, "lost.txt", b"lost"), make_file(principal, "there.txt", b"there")
        storage.delete(lost.storage_key)
        run = begin(assistant_id=coder.id)
        Thread.objects.filter(pk=run.thread_id).update(tool_resources={NAME: {"file_ids": [lost.id, there.id]}})
        return run

    run = await in_database(prepare)
    runs_code(model, "import os\nprint(os.listdir('/mnt/data'))")
    async with working():
        await finished(run)
    (told,) = told_by(model)
    assert told == "['there.txt']\n\nThe file /mnt/data/lost.txt is not there: Its content cannot be read."


async def test_another_projects_file_is_not_there(
    model: Model, principal: Principal, coder: Assistant, begin: Callable[..., Run], charlies_key: str
) -> None:
    def prepare() -> Run:
        foreign = make_file(credentials.principal_of_key(charlies_key), "secret.txt", b"secret")
        run = begin(assistant_id=coder.id)
        Thread.objects.filter(pk=run.thread_id).update(tool_resources={NAME: {"file_ids": [foreign.id]}})
        return run

    run = await in_database(prepare)
    runs_code(model, "import os\nprint(os.listdir('/mnt/data'))")
    async with working():
        await finished(run)
    assert await in_database(logs_of, run.id) == ["[]\n"]


async def test_an_exception_is_told_with_its_traceback(model: Model, run: Run) -> None:
    runs_code(model, "def f():\n    return 1 / 0\nf()", "print('on')")
    async with working():
        await finished(run)
    failed, on = await in_database(logs_of, run.id)
    assert failed.startswith("Traceback")
    assert failed.endswith("ZeroDivisionError: division by zero\n")
    assert on == "on\n"
    assert await in_database(outcomes_of, run.id) == ["raised", "ok"]


async def test_code_that_never_ends_is_stopped_and_the_run_goes_on(
    model: Model, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_interpreter, "SECONDS", 1.0)
    runs_code(model, "x = 1\nprint('begun', flush=True)\nwhile True: pass", "print('on')")
    async with working():
        await finished(run)
    stopped, on = await in_database(logs_of, run.id)
    assert stopped == "begun\nThe code was stopped: it may take 1 seconds.\n"
    assert await in_database(shown_logs, run.id) == [stopped, on]
    assert on == "on\n"
    assert await in_database(outcomes_of, run.id) == ["timeout", "ok"]


async def test_parallel_calls_are_run_one_after_the_other(model: Model, run: Run) -> None:
    model.answers(*calls_code("x = 1\nprint(x)", 0), *calls_code("x += 1\nprint(x)", 1), end("tool_calls"))
    model.answers(*text("Two."), end())
    async with working():
        await finished(run)
    assert await in_database(logs_of, run.id) == ["1\n", "2\n"]
    assert await in_database(streamed_text, run.id) == "Two."


@pytest.mark.parametrize("written", ["", " ", '{"code": ""}', '{"code": null}'])
async def test_a_call_without_code_is_told_so(written: str, model: Model, run: Run) -> None:
    model.answers(*call(0, NAME, written), end("tool_calls"))
    model.answers(*text("Done."), end())
    async with working():
        await finished(run)
    (told,) = told_by(model)
    assert told == code_interpreter.NO_CODE


async def test_too_many_files_and_what_is_no_file(model: Model, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_interpreter, "MOST_FILES", 2)
    monkeypatch.setattr(products, "FILE_BYTES", 1_000)
    code = (
        "import os\nos.chdir('/mnt/data')\nos.symlink('/etc/passwd', 'a')\nos.mkfifo('b')\nos.mkdir('c')\n"
        "open('c/1', 'w').write('1')\nopen('d', 'w').truncate(5_000)\nopen('e', 'w').write('e')\nopen('.f', 'w')\nNone"
    )
    runs_code(model, code)
    async with working():
        await finished(run)
    (told,) = told_by(model)
    assert "Files that were made: sandbox:/mnt/data/c/1" in told
    assert "/mnt/data/d was not kept" in told
    assert told.endswith("1 more files were not kept.")
    assert await in_database(lambda: [file.filename for file in File.objects.all()]) == ["1"]


async def test_a_cancelled_run_stops_its_code(model: Model, run: Run, api: APIClient) -> None:
    runs_code(model, "import time\nprint('begun', flush=True)\ntime.sleep(600)")
    async with working():
        await until(lambda: shown_logs(run.id) == ["begun\n"])
        await in_database(api.post, f"/v1/threads/{run.thread_id}/runs/{run.id}/cancel")
        over = await ended(run.id)
    assert over.status == "cancelled"
    session = await hosting.sandbox().session(key=run.thread_id)
    assert session.fresh, "the one that was cancelled is gone"


async def test_files_of_a_call_that_came_to_nothing_go_after_a_day(
    model: Model, run: Run, begin: Callable[..., Run], coder: Assistant, api: APIClient
) -> None:
    runs_code(model, PLOT + "\nopen('/mnt/data/a', 'w').write('a')")
    runs_code(model, PLOT + "\nimport time\ntime.sleep(600)")
    async with working():
        await finished(run)
        assert await in_database(lambda: {file.expires_at for file in File.objects.all()}) == {None}
        second = await in_database(begin, assistant_id=coder.id)
        await until(lambda: File.objects.count() == 3)
        await in_database(api.post, f"/v1/threads/{second.thread_id}/runs/{second.id}/cancel")
        await ended(second.id)
    left = await in_database(File.objects.exclude(expires_at=None).get)
    assert left.expires_at is not None
    assert left.expires_at - left.created_at == products.UNNAMED


async def test_the_days_seconds_of_a_project_are_limited(model: Model, run: Run, settings: Any) -> None:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, interpreter_seconds_per_day=30)
    await in_database(
        lambda: ToolUse.objects.create(
            call_id="c", project_id=run.project_id, kind=NAME, tool=NAME, outcome="ok", milliseconds=30_000
        )
    )
    runs_code(model, "print(1)")
    async with working():
        await finished(run)
    (logs,) = await in_database(logs_of, run.id)
    assert "30 seconds in the last 24 hours" in logs
    spent = await in_database(lambda: ToolUse.objects.exclude(call_id="c").get().outcome)
    assert spent == "spent"


async def test_waiting_for_a_session_counts_against_nobody(
    model: Model, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_interpreter, "monotonic", iter([0.0, 1_000.0]).__next__)
    runs_code(model, "print(1)")
    async with working():
        await finished(run)
    assert (await in_database(ToolUse.objects.get)).milliseconds == 0
    (step, _) = await in_database(steps_of, run.id)
    assert [entry["seconds"] for entry in step.asked.values()] == [0.0]


async def test_code_that_floods_is_cut(model: Model, run: Run) -> None:
    runs_code(model, "for n in range(20_000): print(n)", "print('on')")
    async with working():
        await finished(run)
    flooded, on = await in_database(logs_of, run.id)
    assert flooded.startswith("0\n1\n2\n")
    assert flooded.endswith(outputs.CUT)
    assert on == "on\n"
    deltas = await in_database(payloads, run.id, "run.step.delta")
    assert len(deltas) < 200, "lines that come together are one delta"


async def test_pictures_of_one_turn_stand_in_the_next_message_only(
    model: Model, run: Run, begin: Callable[..., Run], coder: Assistant
) -> None:
    model.answers(*text("I draw."), *calls_code(PLOT), end("tool_calls"))
    model.answers(*text("Drawn."), end())
    async with working():
        await finished(run)
    first, second = await in_database(lambda: list(Message.objects.filter(run_id=run.id).order_by("position")))
    assert [part["type"] for part in first.content] == ["text"]
    assert [part["type"] for part in second.content] == ["image_file", "text"]


async def test_of_figures_beyond_the_limit_the_model_is_told(
    model: Model, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "configured", lambda: limits.Limits(images=1))
    runs_code(model, PLOT + "\nfor n in range(2):\n    plt.plot([n])\n    plt.show()")
    async with working():
        await finished(run)
    assert told_by(model)[0].endswith("2 more figures were not shown.")
    assert await in_database(File.objects.count) == 1


async def test_an_answer_with_a_picture_that_was_cut_is_continued(model: Model, run: Run) -> None:
    gate = Gate()
    model.answers(*calls_code(PLOT + "\nopen('/mnt/data/a', 'w').write('a')"), end("tool_calls"))
    model.answers(*text("One"), gate)
    model.answers(*text(" two sandbox:/mnt/data/a"), end())
    async with working() as worker:
        await within(gate.reached.wait())
        await until(lambda: streamed_text(run.id) == "One")
        await kill(worker, run.id)
        await finished(run)
    message = await in_database(answer_of, run.id)
    image, said = message.content
    assert image["type"] == "image_file"
    assert said["text"]["value"] == "One two sandbox:/mnt/data/a"
    (annotation,) = said["text"]["annotations"]
    assert (annotation["type"], annotation["start_index"], annotation["end_index"]) == ("file_path", 8, 27)
    parts = [delta["delta"]["content"][0] for delta in await in_database(payloads, run.id, "message.delta")]
    assert [part["type"] for part in parts].count("image_file") == 1


async def test_code_is_not_run_twice_where_its_worker_dies(model: Model, run: Run) -> None:
    runs_code(model, "print('begun', flush=True)\nimport time\ntime.sleep(600)")
    async with working() as worker:
        await until(lambda: shown_logs(run.id) == ["begun\n"])
        await kill(worker, run.id)
        await finished(run)
    assert await in_database(logs_of, run.id) == [f"{INTERRUPTED}\n"]
    assert told_by(model) == [INTERRUPTED]
    use = await in_database(ToolUse.objects.get)
    assert use.outcome == "interrupted"
