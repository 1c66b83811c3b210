"""What leaves the house: signed, to strangers who may be hostile, at least once and by one worker at a time."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from runs.alerts import services
from runs.alerts.chores import _send, send_notifications
from runs.alerts.models import AlertRule, Notification
from runs.alerts.rendering import GONE, NO_MAIL_SERVER
from runs.alerts.sending import MAXIMUM_ANSWER, NotSent, post_webhook
from runs.alerts.services import outbox
from runs.alerts.services.rules import Written
from sovereign.accounts.models import AuditEvent, Project
from sovereign.accounts.principals import Principal
from sovereign.core.database import in_database, now
from tests.alerts.conftest import FAILING
from tests.alerts.receiving import ENDLESS, MOVED, SILENT, Receiver, receiving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("inner_network")]

Asked = Callable[..., Any]
LONG = 64 * MAXIMUM_ANSWER  # what the system keeps on the way included


@pytest.fixture
def ask(principal: Principal, make_rule: Callable[..., Written]) -> Asked:
    """``await ask(receiver, **fields)``: a rule whose test waits to be sent to the receiver, with its secret."""

    def make(url: str, **fields: Any) -> Written:
        written = make_rule(**{"webhook_url": url, **fields})
        services.try_rule(principal=principal, rule_id=written.rule.pk)
        return written

    async def asked(receiver: Receiver, **fields: Any) -> Written:
        return await in_database(make, f"{receiver.url}/hook?to=me", **fields)

    return asked


async def notice_of(written: Written) -> Notification:
    return await in_database(Notification.objects.get, rule=written.rule)


async def make_due(written: Written) -> None:
    await in_database(lambda: Notification.objects.filter(rule=written.rule).update(next_attempt_at=now()))


async def test_a_webhook_is_signed_and_says_what_happened(ask: Asked) -> None:
    async with receiving() as receiver:
        written = await ask(receiver)
        await send_notifications()
        await send_notifications()
        (got,) = receiver.received
    notice = await notice_of(written)
    assert (notice.status, notice.attempts) == ("sent", 1)
    assert got.headers["webhook-id"] == notice.pk
    assert got.headers["content-type"] == "application/json"
    assert got.is_signed_with(written.secret)
    assert not got.is_signed_with("whsec_" + "A" * 43 + "=")
    assert abs(int(got.headers["webhook-timestamp"]) - notice.sent_at.timestamp()) < 60
    assert got.said["type"] == "alert.test"
    assert got.said["data"]["rule"]["id"] == written.rule.pk
    assert got.said["data"]["project"]["name"] == "Alice's"
    assert written.secret not in got.body.decode()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (MOVED, "The receiver answered with a redirect (302), which is not followed."),
        (500, "The receiver answered with the status 500."),
        (404, "The receiver answered with the status 404."),
        (SILENT, "The receiver did not answer within 2 seconds."),
    ],
)
async def test_what_was_not_taken_is_sent_again_as_the_same(
    ask: Asked, answer: Any, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving(answer, 200) as receiver:
        with monkeypatch.context() as impatient:
            impatient.setattr("runs.alerts.sending.TIMEOUT", 2.0 if answer == SILENT else 60.0)
            written = await ask(receiver)
            before = await in_database(now)
            await send_notifications()
        notice = await notice_of(written)
        assert (notice.status, notice.attempts, notice.last_error) == ("waiting", 1, error)
        assert before + outbox.PAUSES[0] <= notice.next_attempt_at <= await in_database(now) + outbox.PAUSES[0]
        await send_notifications()  # it is not due
        assert len(receiver.received) == 1, "nothing else was asked for either"
        await make_due(written)
        await send_notifications()
        first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == notice.pk
    assert first.body == second.body
    assert second.is_signed_with(written.secret)
    assert (await notice_of(written)).status == "sent"


async def test_an_answer_without_end_is_taken_by_its_status(ask: Asked) -> None:
    async with receiving(ENDLESS) as receiver:
        written = await ask(receiver)
        await send_notifications()
        assert receiver.written < LONG
    assert (await notice_of(written)).status == "sent"


async def test_after_eight_tries_in_a_day_it_is_given_up(ask: Asked) -> None:
    async with receiving(503) as receiver:
        written = await ask(receiver)
        for _ in range(outbox.MOST_ATTEMPTS + 2):
            await make_due(written)
            await send_notifications()
        assert len(receiver.received) == outbox.MOST_ATTEMPTS == 8
    notice = await notice_of(written)
    assert (notice.status, notice.last_error) == ("given_up", "The receiver answered with the status 503.")
    assert timedelta(hours=20) < sum(outbox.PAUSES, timedelta()) < timedelta(hours=28)


async def test_a_receiver_that_is_gone_gets_nothing_more_until_it_has_a_new_secret(
    ask: Asked, principal: Principal
) -> None:
    async with receiving(410) as receiver:
        written = await ask(receiver)
        await send_notifications()
        rule = await in_database(AlertRule.objects.get, pk=written.rule.pk)
        assert rule.webhook_gone_at is not None
        assert (await notice_of(written)).status == "given_up"
        told = AuditEvent.objects.filter(action="alert_rule.webhook_gone", object_id=rule.pk)
        assert await in_database(told.count) == 1
        assert await in_database(outbox.announce, rule, "alert.test", "Once more") == []
        same = {"name": "Other", "webhook_url": rule.webhook_url}
        kept = await in_database(services.update_rule, principal=principal, rule_id=rule.pk, **same)
        assert kept.rule.webhook_gone_at is not None
        again = await in_database(services.update_rule, principal=principal, rule_id=rule.pk, new_webhook_secret=True)
        assert again.rule.webhook_gone_at is None
        assert len(receiver.received) == 1


async def test_an_address_that_was_taken_out_gets_nothing(ask: Asked, principal: Principal) -> None:
    async with receiving() as receiver:
        written = await ask(receiver)
        await in_database(services.update_rule, principal=principal, rule_id=written.rule.pk, webhook_url=None)
        await send_notifications()
        assert receiver.received == []
    notice = await notice_of(written)
    assert (notice.status, notice.last_error) == ("given_up", outbox.TAKEN_OUT)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
async def test_what_leads_inside_is_refused_when_it_is_sent(
    ask: Asked, settings: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The operator closed the inner network after the rule was written; or a public name leads inside now."""
    monkeypatch.setattr("runs.alerts.targets.is_inner_host", lambda host: False)  # by its name it is public
    async with receiving() as receiver:
        receiver.url = receiver.url.replace("127.0.0.1", name).replace("http:", "https:")
        written = await ask(receiver)
        settings.SOVEREIGN = replace(settings.SOVEREIGN, alerts_inner_network=False)
        await send_notifications()
        assert receiver.received == []
    notice = await notice_of(written)
    assert notice.status == "waiting"
    assert notice.last_error.endswith("address of an inner network.")


async def test_a_worker_that_dies_before_it_says_so_has_it_sent_once_more(ask: Asked, monkeypatch: Any) -> None:
    async with receiving() as receiver:
        written = await ask(receiver)
        with monkeypatch.context() as dying:
            dying.setattr(outbox, "sent", lambda claimed: None)  # it was sent, and nobody ever said so
            await send_notifications()
        notice = await notice_of(written)
        assert (notice.status, notice.attempts) == ("waiting", 1)
        await send_notifications()
        assert len(receiver.received) == 1, "its lease is not over"
        await make_due(written)
        await send_notifications()
        first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert (await notice_of(written)).status == "sent"


async def test_two_workers_at_once_send_once_and_a_late_one_changes_nothing(ask: Asked) -> None:
    async with receiving(500, 200) as receiver:
        written = await ask(receiver)
        await asyncio.gather(send_notifications(), send_notifications())
        assert len(receiver.received) == 1
        await make_due(written)
        (slow,) = await in_database(outbox.claim, 1, {})
        await make_due(written)  # its lease ran out
        (other,) = await in_database(outbox.claim, 1, {})
        await _send(other)
        await in_database(outbox.failed, slow, "It took too long.")
    notice = await notice_of(written)
    assert (slow.attempt, other.attempt, notice.status, notice.last_error) == (2, 3, "sent", "")


async def test_a_slow_receiver_holds_up_nobody_and_a_worker_that_stops_gives_it_back(
    ask: Asked, principal: Principal
) -> None:
    async with receiving(SILENT) as slow, receiving() as quick:
        held = [await ask(slow, name=f"slow {number}") for number in range(outbox.MOST_OF_PROJECT - 1)]
        sending = asyncio.create_task(send_notifications())
        while len(slow.received) < len(held):
            await asyncio.sleep(0.01)
        written = await ask(quick)
        while (await notice_of(written)).status != "sent":
            await asyncio.sleep(0.01)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    for one in held:
        notice = await notice_of(one)
        assert (notice.status, notice.attempts) == ("waiting", 0)
        assert notice.next_attempt_at <= await in_database(now)


async def test_of_one_project_no_more_than_a_few_are_sent_at_once(ask: Asked) -> None:
    async with receiving() as receiver:
        for number in range(outbox.MOST_OF_PROJECT + 1):
            await ask(receiver, name=f"rule {number}")
        claimed = await in_database(outbox.claim, 16, {})
        assert len(claimed) == outbox.MOST_OF_PROJECT
        assert await in_database(outbox.claim, 16, {one.project_id: 4 for one in claimed}) == []


def of_another_project() -> Notification:
    rule = AlertRule.objects.create(project=Project.objects.create(name="Another"), emails=["b@example.org"], **FAILING)
    return outbox.announce(rule, "alert.test", "A test")[0]


async def test_however_much_of_one_project_waits_another_gets_its_turn(ask: Asked, monkeypatch: Any) -> None:
    monkeypatch.setattr(outbox, "LOOKED_AT", outbox.MOST_OF_PROJECT)
    await ask(Receiver(), webhook_url="", emails=[f"a{number}@example.org" for number in range(20)])
    theirs = await in_database(of_another_project)
    in_hand = Counter(one.project_id for one in await in_database(outbox.claim, 16, {}))
    assert list(in_hand.values()) == [outbox.MOST_OF_PROJECT]
    assert [one.id for one in await in_database(outbox.claim, 12, in_hand)] == [theirs.pk]


@pytest.mark.parametrize(
    ("kind", "field", "why"),
    [(Project, "archived_at", outbox.ARCHIVED), (AlertRule, "webhook_gone_at", GONE)],
)
async def test_what_nobody_is_to_be_told_any_more_is_given_up(ask: Asked, kind: Any, field: str, why: str) -> None:
    async with receiving() as receiver:
        written = await ask(receiver)
        await in_database(lambda: kind.objects.update(**{field: now()}))
        await send_notifications()
        assert receiver.received == []
    notice = await notice_of(written)
    assert (notice.status, notice.last_error) == ("given_up", why)


async def test_nothing_goes_unsealed_through_open_networks_when_it_is_sent() -> None:
    """The operator had opened the inner network when the rule was written, and closed it since."""
    with pytest.raises(NotSent, match=r"^The address must begin with https://\.$"):
        await post_webhook("http://hooks.example.org/", b"{}", {}, inner_network=False)


# ------------------------------------------------------------------------------------- mail


@pytest.fixture
def mail_server(settings: Any) -> None:
    settings.SOVEREIGN = replace(settings.SOVEREIGN, email_url="smtp://mail.example")


@pytest.mark.usefixtures("mail_server")
async def test_a_mail_says_the_same_and_a_name_stays_one_line(ask: Asked) -> None:
    written = await ask(Receiver(), webhook_url="", emails=["a@example.org"], name="Bad\r\nBcc: all@example.org")
    await send_notifications()
    (message,) = mail.outbox
    assert message.to == ["a@example.org"]
    assert message.subject == "[Sovereign] Warning: Bad Bcc: all@example.org (a test)"
    assert message.bcc == []
    assert f"/admin/alerts/alertrule/{written.rule.pk}/change/" in message.body
    assert (await notice_of(written)).pk in message.extra_headers["Message-ID"]


async def test_without_a_mail_server_mails_wait_and_the_rule_says_so(ask: Asked) -> None:
    written = await ask(Receiver(), webhook_url="", emails=["a@example.org"])
    await send_notifications()
    notice = await notice_of(written)
    assert (notice.status, notice.last_error, mail.outbox) == ("waiting", NO_MAIL_SERVER, [])


@pytest.mark.usefixtures("mail_server")
async def test_a_mail_that_is_on_its_way_when_the_worker_stops_was_sent(ask: Asked, monkeypatch: Any) -> None:
    begun, answered = threading.Event(), threading.Event()

    def send(message: Any) -> int:
        begun.set()
        answered.wait(60)
        return 1

    monkeypatch.setattr("django.core.mail.EmailMessage.send", send)
    written = await ask(Receiver(), webhook_url="", emails=["a@example.org"])
    sending = asyncio.create_task(send_notifications())
    assert await asyncio.to_thread(begun.wait, 60)
    sending.cancel()
    await asyncio.wait([sending], timeout=0.1)
    answered.set()
    await asyncio.gather(sending, return_exceptions=True)
    notice = await notice_of(written)
    assert (notice.status, notice.attempts) == ("sent", 1)


@pytest.mark.usefixtures("mail_server")
async def test_a_mail_server_that_is_away_is_tried_again(ask: Asked, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with socket.socket() as taken:  # so that nobody else listens there either
        taken.bind(("127.0.0.1", 0))
        settings.EMAIL_HOST, settings.EMAIL_PORT = taken.getsockname()
        written = await ask(Receiver(), webhook_url="", emails=["a@example.org"])
        await send_notifications()
    notice = await notice_of(written)
    assert (notice.status, notice.last_error) == (
        "waiting",
        "The mail server did not take it (ConnectionRefusedError).",
    )
