"""Stands in for vLLM's server in tests of the supervisor: a real process, with a child of its own.

    python fake_engine.py --control FILE --host 127.0.0.1 --port N

FILE holds ``{"mode": …}``, read at every request: ``ok``, ``slow`` (computes for two seconds before its token),
``mute`` (holds the request and does nothing). With ``crash`` it prints ``say`` and ends at once with status 3.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

parser = argparse.ArgumentParser()
parser.add_argument("--control", type=Path, required=True)
parser.add_argument("--host")
parser.add_argument("--port", type=int)
options = parser.parse_args()


def control() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(options.control.read_text())
    except (OSError, ValueError):
        return {}
    return found


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass

    def allowed(self) -> bool:
        if self.headers["Authorization"] == f"Bearer {os.environ['VLLM_API_KEY']}":
            return True
        self.send_response(401)
        self.end_headers()
        return False

    def do_GET(self) -> None:
        if self.allowed():
            body = json.dumps({"data": [{"id": "fake", "owned_by": "vllm", "max_model_len": 77}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def do_POST(self) -> None:
        if not self.allowed():
            return
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        mode = control().get("mode")
        if mode == "mute":
            time.sleep(600)
        if mode == "slow":
            until = time.monotonic() + 2
            while time.monotonic() < until:
                pass
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.say({"delta": {"content": f"I am {os.getpid()}"}})
        if "wait" in json.dumps(asked["messages"]):
            time.sleep(600)
        self.say({"delta": {}, "finish_reason": "stop"})

    def say(self, choice: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")


if control().get("mode") == "crash":
    print(control().get("say", ""), flush=True)
    sys.exit(3)
# as vLLM's engine core does, this child does not notice that its parent died
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer((options.host, options.port), Handler).serve_forever()
