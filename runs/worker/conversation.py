"""What a model is sent: instructions, the thread with what was found beforehand, and the run's own turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import orjson

from assistants.kinds import Capability
from inference import pictures
from runs.asked import BEFOREHAND, KEPT, with_kept
from runs.configuration import cut_of, has
from runs.models import Run, RunStep
from runs.services.again import NO_TRIES, Tries
from runs.services.recorder import Made
from runs.tools import passages
from runs.tools.base import FUNCTION, ServerTool
from runs.tools.functions import output_within
from runs.tools.toolbox import Toolbox
from threads import context
from threads.models import Message

Step = RunStep.StepStatus
GO_ON = (
    "Your last answer broke off. Go on exactly where it ends, in the middle of the sentence or of the code if it is "
    "there. Repeat nothing of it and say nothing about the interruption."
)
FOUND_SHARE = 0.5  # of a prompt, that everything together may take which was found or done here


class Done(NamedTuple):
    """A call that was carried out here, its step, and the step's calls that were carried out before it."""

    step: RunStep
    call: dict[str, Any]
    earlier: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A run's side of a conversation, before its next model call."""

    run: Run
    configuration: dict[str, Any]
    steps: list[RunStep]
    toolbox: Toolbox
    tools: list[dict[str, Any]]  # as the model is shown them
    context_length: int | None
    prompt_budget: int | None
    past: context.Past | None = None  # the thread as it was then; else as it is
    tries: Tries = NO_TRIES
    can_continue: bool = False  # whether the engine goes on with an answer that was begun

    def begun(self, written: str) -> str:
        """The beginning of the answer that the engine is to go on with; "" for none.

        :param written: of this run, by a worker that did not end it.
        """
        return self.tries.text + written if self._goes_on and not self._has_turned else written

    def messages(self, begun: str) -> list[dict[str, Any]]:
        """Instructions, as much of the thread as fits, and the run's own turns whole: their pairs cannot be split.

        :param begun: see :meth:`begun`.
        """
        told = self._told()
        own_turns = self._after_kept(self._own_turns(told))
        if begun:
            own_turns.append({"role": "assistant", "content": begun})
        system, found = self.configuration["instructions"], self._found(told)
        sent = sum(len(orjson.dumps(sent)) for sent in (self.tools, own_turns) if sent)
        window = context.window(
            thread_id=self.run.thread_id,
            before_run=self.run.id,
            **cut_of(self.configuration),
            context_length=self.context_length,
            prompt_budget=self.prompt_budget,
            reserved=len(system.encode()) + len(found.encode()) + sent,
            past=self.past,
            without=self._hidden(),
        )
        history = window.messages
        if not has(self.configuration, Capability.VISION):
            history = [_without_images(message) for message in history]
        system = "\n\n".join(part for part in (system, window.earlier) if part)
        instructions = [{"role": "system", "content": system}] if system else []
        return [*instructions, *(_quoting(found, history) if found else history), *own_turns]

    @property
    def _goes_on(self) -> bool:
        """Whether the engine itself goes on with what an earlier run left; else it is asked to."""
        return self.can_continue and bool(self.tries.kept)

    @property
    def _has_turned(self) -> bool:
        """Whether the run has said or called something to its end."""
        return any(step.status == Step.COMPLETED and not is_beforehand(step) for step in self.steps)

    def _hidden(self) -> set[str]:
        kept = {message.pk for message in self.tries.kept} if self._goes_on else set()
        return kept | self.tries.superseded

    def _after_kept(self, own_turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The run's own turns behind what an earlier run left, or behind the wish to go on with it."""
        if not self.tries.kept:
            return own_turns
        if not self._goes_on:
            return [{"role": "user", "content": GO_ON}, *own_turns]
        if not own_turns:
            return []  # it is the beginning of the answer itself
        first, *rest = own_turns
        return [{**first, "content": self.tries.text + (first["content"] or "")}, *rest]

    def sources(self) -> dict[str, str]:
        """The files that the answer may cite, by their marks."""
        of_calls = [self._sources_of(done) for done in self._done()]
        lasting = [tool.lasting_sources() for tool in self.toolbox.all()]
        return dict(chain.from_iterable(sources.items() for sources in (*lasting, *of_calls)))

    def made(self) -> Made:
        """What code has made since the run's last message."""
        shown = max((step.position for step in self.steps if step.type == RunStep.Type.MESSAGE_CREATION), default=0)
        calls = [done.call for done in self._done() if done.step.position > shown]
        outputs = [output for call in calls for output in call[call["type"]].get("outputs", ())]
        images = [output["image"]["file_id"] for output in outputs if output["type"] == "image"]
        files = {path: file_id for call in calls for path, file_id in call.get(KEPT, {}).get("files", {}).items()}
        return Made(tuple(images), tuple(files.values()))

    def _tool_of(self, done: Done) -> ServerTool | None:
        return self.toolbox.named(done.step.asked[done.call["id"]]["tool"])

    def _sources_of(self, done: Done) -> dict[str, str]:
        tool = self._tool_of(done)
        return tool.sources(done.call, position=done.step.position, earlier=done.earlier) if tool is not None else {}

    def _done(self) -> Iterator[Done]:
        """The calls that were carried out here."""
        for step in self.steps:
            if step.status == Step.COMPLETED:
                calls = [
                    with_kept(call, step.asked[call["id"]]) for call in step.tool_calls if call["id"] in step.asked
                ]
                yield from (Done(step, call, calls[:place]) for place, call in enumerate(calls))

    def _told(self) -> dict[str, str]:
        """What the model is told of each call that was carried out here, by its id: the newest get the room first."""
        tokens = self.context_length or context.DEFAULT_CONTEXT_LENGTH
        if self.prompt_budget is not None:
            tokens = min(tokens, self.prompt_budget)
        room, told = int(tokens * FOUND_SHARE * context.BYTES_PER_TOKEN), {}
        for done in reversed(list(self._done())):
            told[done.call["id"]] = said = self._told_of(done, room)
            room -= len(said.encode())
        return told

    def _told_of(self, done: Done, room: int) -> str:
        if (tool := self._tool_of(done)) is not None:
            return tool.told(done.call, position=done.step.position, earlier=done.earlier, room=room)
        return output_within(done.call, room) if done.call["type"] == FUNCTION else ""  # a tool that was taken away

    def _found(self, told: dict[str, str]) -> str:
        """What was found beforehand. That nothing was is no news: nobody had asked."""
        searched = [done for done in self._done() if is_beforehand(done.step)]
        found = [told[done.call["id"]] for done in searched if self._sources_of(done)]
        return passages.quoted(found) if found else ""

    def _own_turns(self, told: dict[str, str]) -> list[dict[str, Any]]:
        """What this run has said and done so far, as chat messages."""
        if not self.steps:
            return []
        written = Message.objects.of_thread(self.run.thread_id).filter(run_id=self.run.id)
        texts = {message.id: message.text for message in written}
        turns: list[dict[str, Any]] = []
        for step in self.steps:
            if step.status != Step.COMPLETED or is_beforehand(step):
                continue
            if step.type == RunStep.Type.MESSAGE_CREATION:
                turns.append({"role": "assistant", "content": texts.get(step.message_id, "")})
                continue
            if not (turns and turns[-1]["role"] == "assistant" and "tool_calls" not in turns[-1]):
                turns.append({"role": "assistant", "content": None})  # text and calls of one turn are one message
            turns[-1]["tool_calls"] = [self._as_sent(step, call) for call in step.tool_calls]
            for call in step.tool_calls:
                output = told[call["id"]] if call["id"] in step.asked else call["function"]["output"]
                turns.append({"role": "tool", "tool_call_id": call["id"], "content": output or ""})
        return turns

    def _as_sent(self, step: RunStep, call: dict[str, Any]) -> dict[str, Any]:
        """A call as the function call that the model made."""
        if call["type"] == "function":
            function = {name: call["function"][name] for name in ("name", "arguments")}
        else:
            entry = step.asked[call["id"]]
            function = {"name": entry["tool"], "arguments": orjson.dumps(entry["arguments"]).decode()}
        return {"id": call["id"], "type": "function", "function": function}


def _without_images(message: dict[str, Any]) -> dict[str, Any]:
    """As models that do not see are sent it: words in the place of each image."""
    if isinstance(message["content"], str):
        return message
    unseen = {"type": "text", "text": pictures.UNSEEN}
    return {**message, "content": [part if part["type"] == "text" else unseen for part in message["content"]]}


def _quoting(found: str, history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The thread with what was found at the beginning of its last question.

    A file's text has no system message's authority, and a message of its own is refused by the templates of many
    models: they take no second system message, nor two messages of one role in a row.
    """
    last = next((place for place in reversed(range(len(history))) if history[place]["role"] == "user"), None)
    if last is None:
        return [*history, {"role": "user", "content": found}]
    said = history[last]["content"]
    content = f"{found}\n\n{said}" if isinstance(said, str) else [{"type": "text", "text": found}, *said]
    return [*history[:last], {**history[last], "content": content}, *history[last + 1 :]]


def is_beforehand(step: RunStep) -> bool:
    """Whether nobody called its tool: it was used before the model was asked."""
    return any(entry.get(BEFOREHAND) for entry in step.asked.values())
