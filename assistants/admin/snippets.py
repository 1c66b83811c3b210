"""Programs that ask an assistant something. All that is put into them are addresses and ids of our own."""

from __future__ import annotations

from typing import Final

VARIABLE: Final = "SOVEREIGN_API_KEY"  # of the environment, with the key
QUESTION: Final = "What can you do for me?"
WHOLE: Final = "The whole answer"
STREAM: Final = "The answer while it is written"

#: language → (title, how its client is installed)
LANGUAGES: dict[str, tuple[str, str]] = {
    "python": ("Python", "pip install openai"),
    "node": ("Node", "npm install openai"),
    "curl": ("curl", ""),
}

PYTHON = """\
import os

from openai import OpenAI

client = OpenAI(base_url="{base_url}", api_key=os.environ["{variable}"])
thread = {{"messages": [{{"role": "user", "content": "{question}"}}]}}
"""
PYTHON_WHOLE = """\
run = client.beta.threads.create_and_run_poll(assistant_id="{assistant}", thread=thread)
if run.status != "completed":
    raise SystemExit(f"The run ended as {{run.status}}: {{run.last_error}}")
answer = client.beta.threads.messages.list(run.thread_id, order="desc", limit=1).data[0]
print(answer.content[0].text.value)
"""
PYTHON_STREAM = """\
answering = client.beta.threads.create_and_run_stream(assistant_id="{assistant}", thread=thread)
with answering as stream:
    for text in stream.text_deltas:
        print(text, end="", flush=True)
print()
"""
NODE = """\
import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{base_url}", apiKey: process.env.{variable} }});
const thread = {{ messages: [{{ role: "user", content: "{question}" }}] }};
"""
NODE_WHOLE = """\
const run = await client.beta.threads.createAndRunPoll({{ assistant_id: "{assistant}", thread }});
if (run.status !== "completed") throw new Error(`The run ended as ${{run.status}}: ${{run.last_error?.message}}`);
const answers = await client.beta.threads.messages.list(run.thread_id, {{ order: "desc", limit: 1 }});
console.log(answers.data[0].content[0].text.value);
"""
NODE_STREAM = """\
const stream = client.beta.threads.createAndRunStream({{ assistant_id: "{assistant}", thread }});
stream.on("textDelta", (delta) => process.stdout.write(delta.value));
await stream.finalRun();
console.log();
"""
CURL = """\
ask() {{ curl -sS -H "Authorization: Bearer ${variable}" -H "Content-Type: application/json" -H "OpenAI-Beta: assistants=v2" "$@"; }}
"""  # noqa: E501  (a line of the program)
CURL_WHOLE = """\
run=$(ask {base_url}/threads/runs -d '{{
  "assistant_id": "{assistant}",
  "thread": {{"messages": [{{"role": "user", "content": "{question}"}}]}}
}}')
id=$(echo "$run" | grep -oE '"id": ?"run_[^"]+' | head -n 1 | cut -d '"' -f 4)
thread=$(echo "$run" | grep -oE '"thread_id": ?"[^"]+' | head -n 1 | cut -d '"' -f 4)
until ask "{base_url}/threads/$thread/runs/$id" | grep -qE '"status": ?"(completed|failed|incomplete|expired|cancelled|requires_action)"'; do
  sleep 1
done
ask "{base_url}/threads/$thread/messages?order=desc&limit=1"
"""  # noqa: E501
CURL_STREAM = """\
ask -N {base_url}/threads/runs -d '{{
  "assistant_id": "{assistant}",
  "thread": {{"messages": [{{"role": "user", "content": "{question}"}}]}},
  "stream": true
}}'
"""
PARTS: dict[str, tuple[str, str, str]] = {
    "python": (f"{PYTHON}\n", PYTHON_WHOLE, PYTHON_STREAM),
    "node": (f"{NODE}\n", NODE_WHOLE, NODE_STREAM),
    "curl": (CURL, CURL_WHOLE, CURL_STREAM),
}


def snippets(language: str, base_url: str, assistant_id: str) -> list[dict[str, str]]:
    """Two programs in one of ``LANGUAGES``: ``{"id", "title", "text"}``."""
    beginning, whole, stream = PARTS[language]
    filled = {"base_url": base_url, "assistant": assistant_id, "variable": VARIABLE, "question": QUESTION}
    return [
        {"id": name, "title": title, "text": (beginning + text).format(**filled)}
        for name, title, text in (("whole", WHOLE, whole), ("stream", STREAM, stream))
    ]
