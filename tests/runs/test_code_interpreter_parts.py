"""What the code interpreter shows and tells, without a sandbox."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from inference.chat import Attribution
from runs.fold import fold
from runs.models import RunEvent
from runs.tools.base import INTERRUPTED, Surroundings
from runs.tools.code_interpreter import SHOWN, SILENT, CodeInterpreter
from runs.tools.interpreter.files import unique_names
from runs.tools.interpreter.outputs import CUT, LOGS, Outputs
from runs.tools.interpreter.products import is_product

CALL = {"id": "call_1", "type": "code_interpreter", "code_interpreter": {"input": "x", "outputs": []}}


class Shown(list[dict[str, Any]]):
    """Deltas as they are shown."""

    async def __call__(self, delta: dict[str, Any]) -> None:
        self.append(copy.deepcopy(delta))

    def folded(self) -> list[dict[str, Any]]:
        """What they add up to, for a client and for us."""
        first = RunEvent(type="thread.run.step.delta", data={"id": "s", "tool_calls": [{"index": 0, **CALL}]})
        later = [
            RunEvent(type="thread.run.step.delta", data={"id": "s", "tool_calls": [{"index": 0, **delta}]})
            for delta in self
        ]
        outputs: list[dict[str, Any]] = fold([first, *later]).tool_calls["s"][0]["code_interpreter"]["outputs"]
        return outputs


@pytest.fixture
def tool() -> CodeInterpreter:
    surroundings = Surroundings(
        project_id="proj_1",
        thread_id="thread_1",
        run_id="run_1",
        model="tiny",
        resources=({}, {}),
        attribution=Attribution(project="proj_1"),
    )
    return CodeInterpreter({"type": "code_interpreter"}, surroundings)


def told(tool: CodeInterpreter, call: dict[str, Any], room: int = 100_000) -> str:
    return tool.told(call, position=1, earlier=(), room=room)


async def test_what_is_kept_is_what_was_shown() -> None:
    outputs, shown = Outputs(shown := Shown()), shown
    await outputs.print("a")
    await outputs.print("b\n")
    await outputs.draw("file-1")
    await outputs.print("c")
    await outputs.say("Stopped.")
    kept = outputs.of(CALL)["code_interpreter"]["outputs"]
    assert kept == shown.folded()
    assert kept == [
        {"type": "logs", "logs": "ab\n"},
        {"type": "image", "image": {"file_id": "file-1"}},
        {"type": "logs", "logs": "c\nStopped.\n"},
    ]
    assert [delta["code_interpreter"]["outputs"][0]["index"] for delta in shown] == [0, 0, 1, 2, 2]


async def test_too_much_output_is_cut_and_said_once() -> None:
    outputs, shown = Outputs(shown := Shown()), shown
    for _ in range(40):
        await outputs.print("é" * 1_000)
    (logs,) = outputs.of(CALL)["code_interpreter"]["outputs"]
    assert logs["logs"].endswith(CUT)
    assert len(logs["logs"].removesuffix(CUT).encode()) == LOGS
    await outputs.say("Stopped.")
    assert outputs.of(CALL)["code_interpreter"]["outputs"][0]["logs"] == f"{logs['logs']}Stopped.\n"
    assert outputs.of(CALL)["code_interpreter"]["outputs"] == shown.folded()


async def test_the_model_is_told_all_of_it_in_order(tool: CodeInterpreter) -> None:
    outputs = Outputs(Shown())
    await outputs.print("before\n")
    await outputs.draw("file-1")
    await outputs.print("after\n")
    outputs.files["/mnt/data/a b.csv"] = "file-2"
    outputs.notes.append("This is a note.")
    call = outputs.of(CALL)
    assert told(tool, call) == (
        f"before\n{SHOWN}after\n\nFiles that were made: sandbox:/mnt/data/a b.csv\nThis is a note."
    )


def test_silence_is_told(tool: CodeInterpreter) -> None:
    assert told(tool, CALL) == SILENT


async def test_of_much_output_the_beginning_and_the_end_are_told(tool: CodeInterpreter) -> None:
    outputs = Outputs(Shown())
    await outputs.print("first " + "é" * 5_000 + " last")
    text = told(tool, outputs.of(CALL), room=1_000)
    assert text.startswith("first é")
    assert text.endswith("é last")
    assert "9011 bytes were left out" in text
    assert len(text.encode()) < 1_100
    assert "left out" in told(tool, outputs.of(CALL), room=-5)


def test_a_call_that_was_interrupted_says_so(tool: CodeInterpreter) -> None:
    failed = tool.failed(CALL, INTERRUPTED)
    assert failed["code_interpreter"] == {"input": "x", "outputs": [{"type": "logs", "logs": f"{INTERRUPTED}\n"}]}
    assert told(tool, failed) == INTERRUPTED
    assert CALL["code_interpreter"]["outputs"] == []


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        (["a.csv", "a.csv", "a.csv"], ["a.csv", "a (2).csv", "a (3).csv"]),
        (["../../etc/passwd"], ["passwd"]),
        (["a\nb.txt", "…", ""], ["a_b.txt", "_", "file"]),
        ([".bashrc", "a.tar.gz", "a.tar.gz"], ["bashrc", "a.tar.gz", "a.tar (2).gz"]),
        (["日本.csv"], ["日本.csv"]),
    ],
)
def test_names_of_files_that_go_in(names: list[str], unique: list[str]) -> None:
    assert unique_names(names) == unique


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/mnt/data/a.csv", True),
        ("/mnt/data/out/a b.csv", True),
        ("/mnt/data/.cache/a", False),
        ("/mnt/data/__pycache__/a.pyc", False),
        ("/mnt/data/a\nb", False),
        ("/mnt/data/a\udc80", False),
    ],
)
def test_which_files_are_products(path: str, kept: bool) -> None:
    assert is_product(path) == kept
