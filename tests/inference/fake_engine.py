"""Stands in for vLLM's server in tests of the supervisor: a real process, with a child of its own.

    python fake_engine.py --control FILE --host 127.0.0.1 --port N

FILE holds ``{"mode": …}``, read at every request: ``ok``, ``slow`` (computes for two seconds before its token),
``mute`` (holds the request and does nothing), ``untemplated`` (refuses every chat), ``vectors`` (makes vectors, and
refuses chats). An answer to "wait" is held after its first piece for as long as FILE holds ``"hold": true``; one to
"cut", "garbage" or "error" is that. With ``crash`` it prints ``say`` and ends at once with status 3; with ``loading``
it prints ``say`` and listens only when FILE says something else. ``/metrics`` tells how many requests are held.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

parser = argparse.ArgumentParser()
parser.add_argument("--control", type=Path, required=True)
parser.add_argument("--host")
parser.add_argument("--port", type=int)
options = parser.parse_args()
counts = {"running": 0, "finished": 0}
lock = threading.Lock()
sleeping = threading.Event()


def control() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(options.control.read_text())
    except (OSError, ValueError):
        return {}
    return found


def count(**changes: int) -> None:
    with lock:
        for name, change in changes.items():
            counts[name] += change


def metrics() -> str:
    return (
        f"vllm:num_requests_running {counts['running']}\nvllm:num_requests_waiting 0\n"
        f"vllm:kv_cache_usage_perc 0.25\nvllm:request_success_total {counts['finished']}\n"
    )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as vLLM's are

    def log_message(self, *args: Any) -> None:
        pass

    def allowed(self) -> bool:
        if self.headers["Authorization"] == f"Bearer {os.environ['VLLM_API_KEY']}":
            return True
        self.close_connection = True
        self.send(b"", status=401)
        return False

    def send(self, body: bytes, status: int = 200, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if not self.allowed():
            return
        if self.path == "/metrics":
            self.send(metrics().encode(), kind="text/plain")
        else:
            self.send(json.dumps({"data": [{"id": "fake", "owned_by": "vllm", "max_model_len": 77}]}).encode())

    def do_POST(self) -> None:
        if not self.allowed():
            return
        if self.path in ("/sleep?level=1", "/wake_up"):
            (sleeping.set if "sleep" in self.path else sleeping.clear)()
            self.send(b"{}", status=int(control().get("sleeping", 200)))
            return
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        count(running=1)
        try:
            self.embed(asked) if self.path.endswith("/embeddings") else self.chat(json.dumps(asked["messages"]))
        finally:
            count(running=-1, finished=1)

    def embed(self, asked: dict[str, Any]) -> None:
        data = [{"index": index, "embedding": [0.5, 0.25]} for index, _ in enumerate(asked["input"])]
        self.send(json.dumps({"data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}).encode())

    def chat(self, messages: str) -> None:
        mode = control().get("mode")
        if mode == "mute":
            time.sleep(600)
        if mode == "slow":
            until = time.monotonic() + 2
            while time.monotonic() < until:
                pass
        if mode in ("untemplated", "vectors") or sleeping.is_set():
            message = "As of transformers v4.44, default chat template is no longer allowed"
            self.send(json.dumps({"error": {"message": message}}).encode(), status=400)
        elif "error" in messages:
            self.send(b'{"error": {"message": "EngineCore encountered an issue"}}', status=500)
        else:
            self.answer(messages)

    def answer(self, messages: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.say({"delta": {"content": f"I am {os.getpid()}"}})
        if "cut" in messages:
            return
        if "garbage" in messages:
            self.wfile.write(b"data: {nonsense\n\n")
            return
        if "wait" in messages:
            while control().get("hold", True):
                time.sleep(0.02)
        self.say({"delta": {}, "finish_reason": "stop"})

    def say(self, choice: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")


print(control().get("say", ""), flush=True)
if control().get("mode") == "crash":
    sys.exit(3)
while control().get("mode") == "loading":
    time.sleep(0.02)
# as vLLM's engine core does, this child does not notice that its parent died
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer((options.host, options.port), Handler).serve_forever()
