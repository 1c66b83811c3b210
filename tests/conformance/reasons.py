"""Why something differs from the original service, or is not supported: each reason is said once, and referred to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """``supported`` is false where the thing is refused; otherwise it is done in another way."""

    key: str
    text: str
    supported: bool

    @property
    def link(self) -> str:
        return f"[{self.key}](#{self.key})"


def _differs(key: str, text: str) -> Reason:
    return Reason(key, text, supported=True)


EMPTY_INSTRUCTIONS = _differs(
    "empty-instructions",
    "The original said `null` where a run has no instructions, its published schema says string, and SDKs that "
    'validate fail on `null`: `""` here.',
)
MESSAGE_STATUS = _differs(
    "message-status",
    "The published schema requires a message's `status`, `incomplete_details`, `completed_at` and `incomplete_at`; the "
    "original left them out of REST answers and sent them in streams only. They are always sent here.",
)
STEP_FIELDS = _differs(
    "step-fields",
    "The published schema requires a step's `expired_at` and `metadata`; the original left them out. They are always "
    "sent here.",
)
STATUS_DETAILS = _differs(
    "status-details",
    "An addition: a run has `status_details`, where a queued run says what it waits for.",
)
POLL_HEADER = _differs(
    "poll-header",
    "An addition: answers about an active run carry `openai-poll-after-ms`, which the SDKs' poll helpers obey; the "
    "original sent none.",
)
RESUMED_STREAMS = _differs(
    "resumed-streams",
    "An addition: every event has an `id:`, and a stream that broke is taken up behind it with `GET …/runs/{run_id}"
    "?stream=true&starting_after=ID` or `Last-Event-ID`. The original's streams could not be taken up.",
)
MODIFY_ACTIVE_RUN = _differs(
    "modify-active-run",
    "The original refused to change the metadata of a run in progress (400 `Cannot update run with status "
    "'in_progress'.`); it is allowed here at any time.",
)
ANY_MODEL = _differs(
    "any-model",
    "Models here are those of this server's engines. The names of OpenAI's chat models mean the default model, so that "
    "old clients go on.",
)
AT_ONCE = _differs(
    "at-once",
    "A request brings at most 1,000 messages and 128 tool outputs: others wait for its transaction. The published "
    "schema has no bound.",
)
CHOICE = _differs(
    "choice",
    "A tool choice has to name one of the run's tools, and a `function` only with that type. What the original said "
    "otherwise is not known.",
)
SERVER_ERROR = _differs(
    "server-error",
    "The sentence of a 500 sends people to their own administrator with the request ID. It cannot be provoked from "
    "outside on purpose; shown by a test.",
)
NO_LIMIT = _differs(
    "limit-0",
    "The published description says 1 to 100, the published schema has no minimum, and the SDKs' own tests ask for 0: "
    "it is an empty page here, whose `has_more` tells whether there is anything.",
)
IDS = _differs(
    "ids",
    "The original's ids had 24 letters and digits behind their prefix; here they have 26 (a time and chance, in lower "
    "case), so that they sort as they were made. Clients take ids as they come.",
)
IDEMPOTENCY = _differs(
    "idempotency",
    "An addition: a POST with an `Idempotency-Key` that was answered is answered the same again for a day; with "
    "another body the key is refused. Nothing of the kind is known of the original's assistants.",
)
KEY_PAGE = _differs(
    "key-page", "The sentence about a wrong or missing key names this server's page of keys instead of OpenAI's."
)
REASONS = [value for value in dict(globals()).values() if isinstance(value, Reason)]
