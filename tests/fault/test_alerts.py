"""Workers are killed while they send what a rule has to say: the receiver gets it, and can tell that it is the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sovereign.accounts.scopes import ALERTS_WRITE, ANALYTICS_READ
from tests.support.client import Client, unique
from tests.support.fixtures import Cluster
from tests.support.processes import START_TIMEOUT, Stack, eventually

pytestmark = pytest.mark.fault


class Receiver:
    """Takes what comes, and answers when it is told to."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.answering = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                receiver.ids.append(self.headers["webhook-id"])
                receiver.answering.wait(START_TIMEOUT)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is told."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    serving = threading.Thread(target=made.server.serve_forever)
    serving.start()
    yield made
    made.answering.set()
    made.server.shutdown()
    serving.join()
    made.server.server_close()


@pytest.fixture
def watcher(cluster: Cluster, stack: Stack) -> Client:
    """A client that may write rules."""
    scopes = ("--scope", ANALYTICS_READ, "--scope", ALERTS_WRITE)
    process = stack.start("create_api_key", "--name", unique(), *scopes)
    return Client(stack.url, process.line("API key: ", START_TIMEOUT))


def test_what_a_worker_was_sending_when_it_died_is_sent_again_as_the_same(
    cluster: Cluster, stack: Stack, watcher: Client, receiver: Receiver
) -> None:
    rule = watcher.post(  # which gives no alert of its own, however many runs of other tests have failed
        "/api/v1/alerts/rules",
        {"name": unique(), "metric": "error_rate", "direction": "above", "threshold": 1.0, "webhook_url": receiver.url},
    )
    (notice,) = watcher.post(f"/api/v1/alerts/rules/{rule['id']}/test")["data"]
    eventually(lambda: receiver.ids, what="the first attempt")
    for worker in cluster.workers:
        worker.kill()
    receiver.answering.set()
    stack.database.age_notification(notice["id"])
    cluster.heal()

    def sent() -> bool:
        (found,) = watcher.get(f"/api/v1/alerts/rules/{rule['id']}/notifications")["data"]
        return found["status"] == "sent" and found["attempts"] == 2

    eventually(sent, what="the second attempt")
    assert receiver.ids == [notice["id"]] * 2
