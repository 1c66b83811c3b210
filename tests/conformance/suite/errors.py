"""The errors E1 to E28 of the contract's section 13: their status and sentence, for the page's table.

Which expectations show one is told by their labels: ``17 pairs (E25)``.
"""

from __future__ import annotations

from tests.conformance.reasons import KEY_PAGE, MODIFY_ACTIVE_RUN, Reason

ERRORS: dict[str, tuple[int, str]] = {
    "E1": (401, "Incorrect API key provided: not-a-re****ized. …"),
    "E2": (401, "You didn't provide an API key. …"),
    "E3": (400, "You must provide the 'OpenAI-Beta' header to access the Assistants API. …"),
    "E5": (404, "No assistant (thread, message, run) found with id '…'."),
    "E6": (404, "No run step found with id '…'."),
    "E7": (404, "No such File object: …"),
    "E8": (404, "The model '…' does not exist"),
    "E9": (400, "The requested model '…' cannot be used with the Assistants API."),
    "E10": (400, "Can't add messages to … while a run … is active."),
    "E11": (400, "Thread … already has an active run …."),
    "E12": (400, "Run creation requires a Thread with a user message or an assistant with instructions."),
    "E13": (400, "Cannot cancel run with status 'completed'."),
    "E15": (400, "Cannot update run with status 'in_progress'."),
    "E16": (400, 'Runs in status "…" do not accept tool outputs.'),
    "E17": (400, "Expected tool outputs for call_ids […], got […]"),
    "E20": (400, "Invalid type for '…': expected a string, but got a boolean instead."),
    "E21": (400, "Unknown parameter: '…'."),
    "E22": (400, "Missing required parameter: '…'."),
    "E23": (400, "Invalid '…': string too long. Expected a string with maximum length …, but got …"),
    "E24": (400, "Invalid '…': array too long. Expected an array with maximum length …, but got …"),
    "E25": (400, "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got …"),
    "E26": (400, "Invalid '…': integer below minimum value. Expected a value >= …, but got … instead."),
    "E27": (400, "Invalid value: '…'. Supported values are: …"),
    "E28": (400, "Invalid 'assistant_id': '…'. Expected an ID that begins with 'asst'."),
}
REASONS: dict[str, Reason] = {"E1": KEY_PAGE, "E15": MODIFY_ACTIVE_RUN}
