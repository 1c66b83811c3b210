"""Answers of ``/v1/completions``: continued texts, whole and in chunks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from inference.api.pump import PIECE, weight
from inference.api.rendering import DONE, Heading, joined, render_usage
from inference.chat import Delta, Finished, TextDelta, Usage

SMALLEST = -9999.0  # the logarithm of what is as good as impossible


@dataclass(frozen=True, slots=True)
class Plan:
    """The calls of one request.

    :ivar prompts: how many there are; the answers to each stand together.
    :ivar answers: how many each gets.
    :ivar tries: how many are made for that, of which the likeliest are taken.
    :ivar logprobs: whether they are shown.
    :ivar counts: a stream ends with the usage.
    """

    prompts: int = 1
    answers: int = 1
    tries: int = 1
    logprobs: bool = False
    counts: bool = False

    @property
    def calls(self) -> int:
        return self.prompts * self.tries


@dataclass(slots=True)
class Text:
    """One continued text.

    :ivar logprobs: pieces of the lists of ``render_logprobs``, which are written already.
    :ivar length: characters of the tokens in them.
    :ivar values: the sum of the logarithms of ``counted`` tokens' probabilities.
    """

    pieces: list[str] = field(default_factory=list)
    logprobs: dict[str, list[bytes]] = field(default_factory=dict)
    length: int = 0
    values: float = 0.0
    counted: int = 0
    finished: Finished | None = None

    def add(self, delta: TextDelta, shown: bool) -> int:
        """:returns: about how many bytes more are kept."""
        self.pieces.append(delta.text)
        held = weight(TextDelta(delta.text))
        if not delta.logprobs:
            return held
        known = [token["logprob"] for token in delta.logprobs if token["logprob"] is not None]
        self.values += sum(known)
        self.counted += len(known)
        if shown:
            for name, values in render_logprobs(delta.logprobs, self.length).items():
                written = orjson.dumps(values)[1:-1]
                self.logprobs.setdefault(name, []).append(written)
                held += PIECE + len(written)
            self.length += sum(len(token["token"]) for token in delta.logprobs)
        return held

    def likelihood(self) -> float:
        """The mean logarithm of its tokens' probabilities."""
        return self.values / self.counted if self.counted else SMALLEST

    def rendered_logprobs(self) -> dict[str, Any]:
        return {name: joined(self.logprobs.get(name, [])) for name in render_logprobs([])}


def render_logprobs(tokens: list[dict[str, Any]], offset: int = 0) -> dict[str, Any]:
    """The older form; ``offset``: characters of the text before these tokens."""
    rendered: dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for token in tokens:
        rendered["tokens"].append(token["token"])
        rendered["token_logprobs"].append(token["logprob"])
        rendered["top_logprobs"].append({other["token"]: other["logprob"] for other in token["top_logprobs"]})
        rendered["text_offset"].append(offset)
        offset += len(token["token"])
    return rendered


def total(usages: list[Usage], tries: int) -> dict[str, Any]:
    """The tokens of a request: each prompt is counted once."""
    prompts = sum(usage.prompt_tokens for usage in usages[::tries])
    cached = sum(usage.cached_tokens for usage in usages[::tries])
    return render_usage(Usage(prompts, sum(usage.completion_tokens for usage in usages), cached))


class CompletionAnswer:
    """A whole answer (``text_completion``)."""

    def __init__(self, heading: Heading, plan: Plan) -> None:
        self.heading = heading
        self._plan = plan
        self._texts = [Text() for _ in range(plan.calls)]
        self.held = 0

    def add(self, number: int, delta: Delta) -> None:
        text = self._texts[number]
        if type(delta) is TextDelta:
            self.held += text.add(delta, self._plan.logprobs)
        elif type(delta) is Finished:
            text.finished = delta

    def render(self) -> dict[str, Any]:
        return {
            "id": self.heading.id,
            "object": "text_completion",
            "created": self.heading.created,
            "model": self.heading.model,
            "choices": [self._choice(index, text) for index, text in enumerate(self._chosen())],
            "usage": total([text.finished.usage for text in self._texts if text.finished], self._plan.tries),
            "system_fingerprint": self.heading.fingerprint,
        }

    def _chosen(self) -> list[Text]:
        """Of the tries for each prompt the likeliest."""
        tries, answers = self._plan.tries, self._plan.answers
        groups = [self._texts[start : start + tries] for start in range(0, len(self._texts), tries)]
        if tries > answers:
            groups = [sorted(group, key=Text.likelihood, reverse=True)[:answers] for group in groups]
        return [text for group in groups for text in group]

    def _choice(self, index: int, text: Text) -> dict[str, Any]:
        assert text.finished is not None  # else the call has failed
        return {
            "text": "".join(text.pieces),
            "index": index,
            "logprobs": text.rendered_logprobs() if self._plan.logprobs else None,
            "finish_reason": text.finished.reason,
        }


class CompletionChunks:
    """The frames of a streamed answer."""

    def __init__(self, heading: Heading, plan: Plan) -> None:
        head = {"id": heading.id, "object": "text_completion", "created": heading.created, "model": heading.model}
        self._head = b"data: " + orjson.dumps({**head, "system_fingerprint": heading.fingerprint})[:-1]
        self._plan = plan
        self._end = (b',"usage":null' if plan.counts else b"") + b"}\n\n"
        self._offsets = [0] * plan.calls
        self._usages: dict[int, Usage] = {}

    def frames(self, number: int, delta: Delta) -> bytes:
        if type(delta) is TextDelta:
            logprobs: Any = None
            if self._plan.logprobs and delta.logprobs:
                logprobs = render_logprobs(delta.logprobs, self._offsets[number])
            self._offsets[number] += len(delta.text)
            return self._chunk({"text": delta.text, "index": number, "logprobs": logprobs, "finish_reason": None})
        if type(delta) is Finished:
            self._usages[number] = delta.usage
            return self._chunk({"text": "", "index": number, "logprobs": None, "finish_reason": delta.reason})
        return b""

    def _chunk(self, choice: dict[str, Any]) -> bytes:
        return b'%s,"choices":[%s]%s' % (self._head, orjson.dumps(choice), self._end)

    def ending(self) -> bytes:
        if not self._plan.counts:
            return DONE
        usage = total([self._usages[number] for number in sorted(self._usages)], self._plan.tries)
        return b'%s,"choices":[],"usage":%s}\n\n%s' % (self._head, orjson.dumps(usage), DONE)
