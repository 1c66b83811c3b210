"""Wake-ups: delivered in this process at once, to any loop, and never an error."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from sovereign.core import bus


@pytest.fixture(autouse=True)
def no_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus, "_listeners", {})


async def test_listeners_of_a_topic_hear_it() -> None:
    heard: list[Any] = []
    subscriptions = [bus.subscribe(topic, heard.append) for topic in ("a", "a", "b")]
    bus.publish("a", {"n": 1})
    await asyncio.sleep(0)
    assert heard == [{"n": 1}] * 2
    for end in subscriptions:
        end()
        end()  # twice is nothing
    bus.publish("a", {"n": 2})
    await asyncio.sleep(0)
    assert len(heard) == 2


async def test_another_thread_reaches_this_loop() -> None:
    heard = asyncio.Event()
    bus.subscribe("a", lambda _: heard.set())
    thread = threading.Thread(target=bus.publish, args=("a", {}))
    thread.start()
    async with asyncio.timeout(60):
        await heard.wait()
    thread.join()


def test_a_loop_that_is_gone_is_no_error() -> None:
    async def listen() -> None:
        bus.subscribe("a", lambda _: None)

    asyncio.run(listen())
    bus.publish("a", {})
    bus.publish("nobody", {})


async def test_a_signal_is_told_from_silence() -> None:
    event = asyncio.Event()
    assert not await bus.signalled(event, 0.01)
    event.set()
    assert await bus.signalled(event, 5)


class Layer:
    """A channel layer that fails as often as it is told to."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.sent: list[dict[str, Any]] = []
        self.arriving: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def _maybe_fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("redis is away")

    async def new_channel(self) -> str:
        self._maybe_fail()
        return "me"

    async def group_add(self, group: str, name: str) -> None:
        pass

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self._maybe_fail()
        self.sent.append(message)

    async def receive(self, name: str) -> dict[str, Any]:
        return await self.arriving.get()


async def test_the_bridge_carries_both_ways_and_outlives_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Layer(failures=3)
    monkeypatch.setattr(bus, "RECONNECT_DELAY", 0.001)
    monkeypatch.setattr(bus, "get_channel_layer", lambda: layer)
    heard: asyncio.Queue[Any] = asyncio.Queue()
    bridge = bus.Bridge()
    monkeypatch.setattr(bus, "_bridge", bridge)
    try:
        async with asyncio.timeout(60):
            bus.subscribe("a", heard.put_nowait)
            layer.arriving.put_nowait({"type": "bus.message", "from": "other", "topic": "a", "payload": {"n": 1}})
            layer.arriving.put_nowait({"type": "bus.message", "from": "me", "topic": "a", "payload": {"n": 2}})
            layer.arriving.put_nowait({"type": "bus.message", "from": "other", "topic": "a", "payload": {"n": 3}})
            assert [await heard.get(), await heard.get()] == [{"n": 1}, {"n": 3}]  # our own echo is not heard
            while not layer.sent:
                bus.publish("b", {"n": 4})
                await asyncio.sleep(0.002)
        assert (layer.sent[0]["topic"], layer.sent[0]["payload"]) == ("b", {"n": 4})
    finally:
        await bridge.close()


async def test_without_redis_there_is_no_bridge() -> None:
    bus.start_bridge()
    assert bus._bridge is None
    await bus.stop_bridge()
