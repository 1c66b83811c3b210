"""``python -m tests.sdk.generated.seeder``: makes the rows that the SDK's generated tests ask for by literal ids.

It prints its port on the first line, and shares the database of the server under test. ``POST /completed``,
``/in_progress`` or ``/requires_action`` makes ``assistant_id``, ``thread_id``, ``run_id`` and what is theirs anew, with
the run in that state; the ids ``before`` and ``after`` are there as cursors in every list. No worker is running, so
that a run stays as it was made.
"""

from __future__ import annotations

import traceback
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import django
from django.db.models import Model, QuerySet

django.setup()

from assistants.knowledge.models import File, FileBatch, StoreFile, VectorStore  # noqa: E402  (apps first)
from assistants.models import Assistant  # noqa: E402
from assistants.resolution import resolve  # noqa: E402
from inference.chat import Usage  # noqa: E402
from inference.models import RegisteredModel  # noqa: E402
from inference.services.registry import add_alias  # noqa: E402
from runs import events  # noqa: E402
from runs.configuration import compose, freeze  # noqa: E402
from runs.events import EventLog  # noqa: E402
from runs.models import Run, RunConfiguration, RunEvent, RunStep  # noqa: E402
from runs.rendering import changing_fields  # noqa: E402
from runs.services import calls  # noqa: E402
from runs.services.recorder import Recorder  # noqa: E402
from runs.services.reports import note_interpreter  # noqa: E402
from runs.states import Status  # noqa: E402
from runs.tools.base import begun_function  # noqa: E402
from sovereign.accounts.models import Project  # noqa: E402
from sovereign.core.database import now, service  # noqa: E402
from threads import services as threads  # noqa: E402
from threads.models import Message, Thread  # noqa: E402

CURSORS = ("before", "after")
ASSISTANTS = ("assistant_id", *CURSORS)
UPLOADED = ("string", "file_id", "file-abc123", *CURSORS)
STORES = ("string", "vector_store_id", "vs_abc123", *CURSORS)
BATCHES = {"batch_id": "vector_store_id", "vsfb_abc123": "vs_abc123"}  # and the stores they are in
SPENT = Usage(prompt_tokens=3, completion_tokens=2)
QUESTION = {"role": "user", "content": "What is the answer?"}
LIFE = timedelta(hours=1)  # of a run: none of them expires in a test


#: The rows of each state, kept when they were first made: to write them again takes half as long as to make them.
_made: dict[Status, list[list[Model]]] = {}


@service
def seed(state: Status) -> None:
    """Everything under its literal id, as if nothing had happened to it yet; a worker says that it can run code."""
    note_interpreter(worker="seeder", usable=True, reason="")
    Thread.objects.filter(pk="thread_id").delete()
    Assistant.objects.filter(pk__in=ASSISTANTS).delete()
    VectorStore.objects.all().delete()  # what tests made has no name
    File.objects.filter(pk__in=UPLOADED).delete()
    if state not in _made:
        _make(state)
        _made[state] = [list(rows) for rows in _rows() if rows]
        return
    for rows in _made[state]:
        type(rows[0]).objects.bulk_create(rows)


def _rows() -> list[QuerySet]:
    """What was seeded, in the order it is written in."""
    return [
        File.objects.filter(pk__in=UPLOADED),
        VectorStore.objects.filter(pk__in=STORES),
        FileBatch.objects.filter(pk__in=BATCHES),
        StoreFile.objects.filter(store__in=STORES),
        Assistant.objects.filter(pk__in=ASSISTANTS),
        Thread.objects.filter(pk="thread_id"),
        Message.objects.filter(thread_id="thread_id"),
        Run.objects.filter(thread_id="thread_id"),
        RunStep.objects.filter(run__thread_id="thread_id"),
        RunEvent.objects.filter(run__thread_id="thread_id"),
    ]


def _make(state: Status) -> None:
    project = Project.objects.earliest("created_at")
    _upload(project)
    assistant, *_ = Assistant.objects.bulk_create(
        Assistant(id=name, project=project, model="fake", instructions="Answer.") for name in ASSISTANTS
    )
    thread = Thread.objects.create(id="thread_id", project=project)
    threads.add_messages(thread, [QUESTION])
    resolved = resolve(assistant=assistant, environment=None, thread_id=thread.id, variables=None)
    with EventLog() as log:
        recorder = _start(log, thread, freeze(project.id, compose(resolved, {})))
        if state == Status.COMPLETED:
            _answer(recorder)
        elif state == Status.REQUIRES_ACTION:
            _ask(recorder)


def _upload(project: Project) -> None:
    """Files, all of them in each of the batches; stores have names, as clients want that validate strictly."""
    File.objects.bulk_create(
        File(id=name, project=project, purpose="assistants", filename="a.txt", bytes=1, sha256="", storage_key=name)
        for name in UPLOADED
    )
    VectorStore.objects.bulk_create(
        VectorStore(id=name, project=project, name=name, last_active_at=now()) for name in STORES
    )
    FileBatch.objects.bulk_create(FileBatch(id=name, store_id=store) for name, store in BATCHES.items())
    StoreFile.objects.bulk_create(
        StoreFile(store_id=store, batch_id=batch, file_id=file, created_at=now())
        for batch, store in BATCHES.items()
        for file in UPLOADED
    )


def _start(log: EventLog, thread: Thread, configuration: RunConfiguration) -> Recorder:
    """``run_id`` in progress on the thread, behind the runs of the cursors, which are over."""
    runs = [
        Run(
            id=name,
            project_id=thread.project_id,
            thread=thread,
            configuration=configuration,
            assistant_id="assistant_id",
            model="fake",
            status=Status.COMPLETED,
            completed_at=now(),
            expires_at=now() + LIFE,
        )
        for name in (*CURSORS, "run_id")
    ]
    run = runs[-1]
    run.status, run.completed_at = Status.QUEUED, None
    Run.objects.bulk_create(runs)
    threads.occupy(thread, run.id)
    log.append(run, events.RUN_CREATED, changing_fields(run))
    recorder = Recorder(log, run, thread)
    recorder.move(Status.IN_PROGRESS, started_at=now())
    return recorder


def _answer(recorder: Recorder) -> None:
    """The run wrote ``message_id`` in ``step_id``, and before it a message in a step for each of the cursors."""
    run, thread = recorder.run, recorder.thread
    assert thread is not None
    begun = [_written(run, thread, place, name) for place, name in enumerate(CURSORS, start=1)]
    Message.objects.bulk_create(message for message, _ in begun)
    RunStep.objects.bulk_create(step for _, step in begun)
    thread.last_position += len(begun)
    run.last_step_position += len(begun)
    recorder.begin_message(step_id="step_id", message_id="message_id")
    recorder.append_text("message_id", "Forty-two.", first=True)
    recorder.finish_message(step_id="step_id", spent=SPENT)
    recorder.count(SPENT)
    recorder.end(Status.COMPLETED)


def _written(run: Run, thread: Thread, place: int, name: str) -> tuple[Message, RunStep]:
    """A finished message and its step, both under one name."""
    message = Message(
        id=name,
        project_id=run.project_id,
        thread=thread,
        position=thread.last_position + place,
        role=Message.Role.ASSISTANT,
        content=threads.content_parts("Let me see."),
        assistant_id=run.assistant_id,
        run_id=run.id,
        completed_at=now(),
    )
    step = RunStep(
        id=name,
        run=run,
        position=place,
        type=RunStep.Type.MESSAGE_CREATION,
        status=RunStep.StepStatus.COMPLETED,
        step_details={"type": "message_creation", "message_creation": {"message_id": name}},
        completed_at=now(),
    )
    return message, step


def _ask(recorder: Recorder) -> None:
    """The run waits for the output of one call."""
    recorder.begin_tool_calls(step_id="step_id")
    recorder.show_call("step_id", 0, begun_function("function", "tool_call_id"))
    recorder.append_to_call("step_id", 0, {"type": "function", "function": {"arguments": "{}"}}, pieces=1)
    calls.settle(recorder, step_id="step_id", asked={}, spent=SPENT)


class Handler(BaseHTTPRequestHandler):
    """One seeding a request; what went wrong is the answer's text."""

    def do_POST(self) -> None:
        status, text = 200, ""
        try:
            seed(Status(self.path.removeprefix("/")))
        except Exception:
            status, text = 500, traceback.format_exc()
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of requests that went well."""


def main() -> None:
    add_alias(alias="string", model=RegisteredModel.objects.get(name="fake"))  # what the oldest version asks for
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
