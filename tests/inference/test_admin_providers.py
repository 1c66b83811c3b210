"""Providers in the admin: superusers write, staff reads, outsiders see nothing, and keys are shown to nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from inference import services
from inference.adapters.base import Endpoint, Served
from inference.admin.providers import TEST_BUTTON
from inference.chat import InferenceError
from inference.engines import probing
from inference.models import Engine, Provider
from sovereign.accounts.models import AuditEvent, Project, User
from tests.inference.helpers import configured, provider_engine

pytestmark = pytest.mark.django_db

SECRET = "sk-secret-0123456789abcdef"
LIST = reverse("admin:inference_provider_changelist")
ADD = reverse("admin:inference_provider_add")
FORM: dict[str, Any] = {
    "name": "mistral", "kind": "openai_compatible", "base_url": "https://api.mistral.example/v1", "enabled": "on",
    "new_key": SECRET, "key_variable": "", "first_token_seconds": 120, "idle_seconds": 60, "total_seconds": 3600,
    "options": "{}",
}  # fmt: skip


@pytest.fixture
def client_for() -> Callable[[User], Client]:
    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root")


@pytest.fixture
def keys(settings: Any) -> None:
    """The environment says where the keys of two variables go."""
    hosts = dict.fromkeys(("MISTRAL_API_KEY", "NOWHERE_API_KEY"), frozenset({"api.mistral.example"}))
    settings.SOVEREIGN = replace(settings.SOVEREIGN, key_hosts=hosts)


def change(provider: Provider) -> str:
    return reverse("admin:inference_provider_change", args=[provider.pk])


def made(client: Client, **changes: Any) -> Provider:
    answer = client.post(ADD, {**FORM, **changes})
    assert answer.status_code == 302, errors(answer)
    return Provider.objects.get(name=changes.get("name", "mistral"))


def errors(answer: Any) -> str:
    form = answer.context and answer.context.get("adminform")
    return json.dumps(form.form.errors) if form else unescape(answer.content.decode())


def test_a_superuser_makes_a_provider(root: User, project: Project, client_for: Callable[[User], Client]) -> None:
    provider = made(client_for(root), projects=[project.pk], tokens_per_minute=1000)
    assert (provider.key(), provider.source, provider.tokens_per_minute) == (SECRET, "admin", 1000)
    assert list(provider.projects.all()) == [project]
    assert SECRET not in provider.sealed_key
    engine = Engine.objects.get(provider=provider)
    assert (engine.base_url, engine.state, engine.kind) == (provider.base_url, "loading", "openai_compatible")
    event = AuditEvent.objects.get(action="provider.created")
    assert (event.user_id, event.details["projects"], event.details["key"]) == (root.pk, [project.pk], True)


def test_no_page_no_audit_row_and_no_log_shows_the_key(
    root: User, bob: User, client_for: Callable[[User], Client], caplog: pytest.LogCaptureFixture
) -> None:
    client = client_for(root)
    provider = made(client)
    client.post(change(provider), {**FORM, "new_key": f"{SECRET}-2", "base_url": "https://other.example/v1"})
    refused = client.post(ADD, {**FORM, "name": "again", "base_url": "https://user:pw@x.example"})
    assert refused.status_code == 200
    engine = Engine.objects.get()
    pages = [
        LIST, ADD, change(provider), reverse("admin:inference_provider_delete", args=[provider.pk]),
        reverse("admin:inference_provider_history", args=[provider.pk]), reverse("admin:index"),
        reverse("admin:inference_engine_changelist"), reverse("admin:inference_engine_change", args=[engine.pk]),
        reverse("admin:accounts_auditevent_changelist"),
        "/status.json", "/health/ready", "/health/providers", "/metrics",
        *(reverse("admin:accounts_auditevent_change", args=[event.pk]) for event in AuditEvent.objects.all()),
    ]  # fmt: skip
    provider.refresh_from_db()
    texts = [refused.content.decode(), caplog.text, *AuditEvent.objects.values_list("details", flat=True)]
    texts += LogEntry.objects.values_list("change_message", flat=True)
    for visitor in (client, client_for(bob)):
        texts += [visitor.get(address).content.decode() for address in pages]
    for text in map(str, texts):
        assert SECRET not in text
        assert provider.sealed_key not in text


def test_staff_reads_and_cannot_change(root: User, bob: User, client_for: Callable[[User], Client]) -> None:
    provider = made(client_for(root))
    client = client_for(bob)
    assert client.get(LIST).status_code == 200
    page = client.get(change(provider)).content.decode()
    assert "api.mistral.example" in page
    assert "set" in page
    assert client.get(ADD).status_code == 403
    assert client.post(ADD, FORM).status_code == 403
    assert client.post(change(provider), {**FORM, "name": "mine"}).status_code == 403
    delete = reverse("admin:inference_provider_delete", args=[provider.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403
    for action in ("disable", "test_connection", "delete_selected"):
        client.post(LIST, {"action": action, "_selected_action": provider.pk, "post": "yes"})
    provider.refresh_from_db()
    assert (provider.name, provider.enabled) == ("mistral", True)


def test_outsiders_see_nothing(client_for: Callable[[User], Client]) -> None:
    for visitor in (Client(), client_for(User.objects.create_user("nobody"))):
        assert visitor.get(LIST).status_code == 302
        assert visitor.post(ADD, FORM).status_code == 302
    assert not Provider.objects.exists()


def test_the_names_of_projects_are_told_to_superusers_only(
    root: User, bob: User, client_for: Callable[[User], Client]
) -> None:
    other = Project.objects.create(name="Secret venture", created_at=services.registry.now())
    provider = made(client_for(root), projects=[other.pk])
    assert "Secret venture" in client_for(root).get(change(provider)).content.decode()
    for address in (LIST, change(provider)):
        page = client_for(bob).get(address).content.decode()
        assert "Secret venture" not in page
        assert "1 project" in page


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base_url": "http://api.mistral.example/v1"}, "has to be https"),
        ({"base_url": "https://user:pw@api.example/v1"}, "user or a password"),
        ({"base_url": "https://api.example/v1?key=1"}, "ends with its path"),
        ({"base_url": "https://169.254.169.254/v1"}, "an address of an inner network"),
        ({"base_url": "https://[::ffff:10.0.0.1]/v1"}, "an address of an inner network"),
        ({"base_url": "https://localhost/v1"}, "an address of an inner network"),
        ({"base_url": "https://0x7f.1/v1"}, "neither a name nor a plainly written number"),
        ({"base_url": "file:///etc/passwd"}, "must begin with http"),
        ({"new_key": "", "key_variable": "SOVEREIGN_SECRET_KEY"}, "_API_KEY"),
        ({"new_key": "", "key_variable": "SOVEREIGN_API_KEY"}, "sent to nobody"),
        ({"new_key": "", "key_variable": "DATABASE_URL"}, "_API_KEY"),
        ({"new_key": "", "key_variable": "OPENAI_API_KEY"}, "may not be sent to api.mistral.example"),
        ({"new_key": "", "key_variable": "GROQ_API_KEY"}, "GROQ_API_KEY=api.mistral.example"),
        ({"key_variable": "MISTRAL_API_KEY"}, "Either a key or the variable"),
        ({"new_key": "two words"}, "without spaces"),
        ({"name": "OpenAI"}, "take another name"),
        ({"name": "a/b"}, "letters, digits"),
        ({"requests_per_minute": "0"}, "At least 1"),
        ({"idle_seconds": "0"}, "One second to a day"),
        ({"options": '{"keep_alive": "5m"}'}, "no such option"),
        ({"kind": "ollama", "options": '{"num_ctx": "large"}'}, "no such option"),
        ({"kind": "program"}, "valid choice"),
    ],
)
def test_what_is_refused_is_said_at_the_form(
    changes: dict[str, str], words: str, root: User, client_for: Callable[[User], Client]
) -> None:
    answer = client_for(root).post(ADD, {**FORM, **changes})
    assert answer.status_code == 200
    assert words in errors(answer)
    assert not Provider.objects.exists()


def test_an_inner_address_is_taken_where_it_is_meant(root: User, client_for: Callable[[User], Client]) -> None:
    provider = made(client_for(root), base_url="http://10.0.0.5:1234/v1/", inner_network="on")
    assert provider.base_url == "http://10.0.0.5:1234/v1"
    answer = client_for(root).post(change(provider), {**FORM, "base_url": "http://10.0.0.5:1234/v1"})
    assert "an address of an inner network" in errors(answer)


def test_another_address_wants_the_key_again(root: User, client_for: Callable[[User], Client]) -> None:
    client = client_for(root)
    provider = made(client)
    moved = {**FORM, "base_url": "https://evil.example/v1", "new_key": ""}
    answer = client.post(change(provider), moved)
    assert "enter the key again" in errors(answer)
    provider.refresh_from_db()
    assert provider.base_url == FORM["base_url"]
    assert client.post(change(provider), {**moved, "new_key": "another"}).status_code == 302
    provider.refresh_from_db()
    assert (provider.base_url, provider.key()) == ("https://evil.example/v1", "another")


@pytest.mark.usefixtures("keys")
def test_a_key_stays_unless_it_is_replaced_or_forgotten(root: User, client_for: Callable[[User], Client]) -> None:
    client = client_for(root)
    provider = made(client)
    Engine.objects.update(state="ready")
    client.post(change(provider), {**FORM, "new_key": "", "name": "renamed"})
    provider.refresh_from_db()
    assert (provider.name, provider.key(), provider.engine.state) == ("renamed", SECRET, "ready")
    client.post(change(provider), {**FORM, "new_key": "", "forget_key": "on"})
    provider.refresh_from_db()
    assert provider.key() == ""
    client.post(change(provider), {**FORM, "new_key": "", "key_variable": "MISTRAL_API_KEY"})
    provider.refresh_from_db()
    assert (provider.key_variable, provider.sealed_key) == ("MISTRAL_API_KEY", "")
    changes = [event.details["changes"] for event in AuditEvent.objects.filter(action="provider.changed")]
    assert [change.get("key") for change in changes] == [None, "forgotten", None]


def test_a_provider_is_disabled_enabled_and_deleted(root: User, client_for: Callable[[User], Client]) -> None:
    client = client_for(root)
    provider = made(client, all_projects="on")
    assert "api.mistral.example, every project" in client.get(LIST).content.decode()
    client.post(LIST, {"action": "disable", "_selected_action": provider.pk})
    assert not Engine.objects.of_providers().exists()
    assert "No words leave Sovereign" in client.get(LIST).content.decode()
    client.post(LIST, {"action": "enable", "_selected_action": provider.pk})
    assert Engine.objects.of_providers().exists()
    client.post(reverse("admin:inference_provider_delete", args=[provider.pk]), {"post": "yes"})
    assert not Provider.objects.exists()
    assert not Engine.objects.exists()


def test_a_provider_of_the_environment_is_read_only(root: User, client_for: Callable[[User], Client]) -> None:
    with configured(openai_api_key=SECRET, engine_url="", ollama_host=""):
        services.synchronise_environment()
        provider = Provider.objects.get()
        client = client_for(root)
        page = client.get(change(provider)).content.decode()
        assert "from the environment variable OPENAI_API_KEY" in page
        assert SECRET not in page
        assert client.post(change(provider), FORM).status_code == 403
        delete = reverse("admin:inference_provider_delete", args=[provider.pk])
        assert client.post(delete, {"post": "yes"}).status_code == 403
        for action in ("disable", "delete_selected"):
            answer = client.post(LIST, {"action": action, "_selected_action": provider.pk, "post": "yes"}, follow=True)
            assert SECRET not in answer.content.decode()
        provider.refresh_from_db()
        assert (provider.enabled, provider.name) == (True, "openai")


class Listing:
    """Stands for the adapters: what is asked is kept, what is answered is the test's."""

    def __init__(self) -> None:
        self.asked: list[Endpoint] = []
        self.failure: InferenceError | None = None

    async def list_models(self, endpoint: Endpoint) -> Served:
        self.asked.append(endpoint)
        if self.failure is not None:
            raise self.failure
        return Served([{"id": "alpha", "context_length": None}])


@pytest.fixture
def listing(monkeypatch: pytest.MonkeyPatch) -> Listing:
    listing = Listing()
    monkeypatch.setattr(probing, "adapter_for", lambda kind: listing)
    return listing


def test_a_connection_is_tested_by_listing_models(
    root: User, client_for: Callable[[User], Client], listing: Listing
) -> None:
    client = client_for(root)
    provider = made(client)
    button = {**FORM, "new_key": "", "inference_provider_save_and_test": "1"}
    assert "inference_provider_save_and_test" in client.get(change(provider)).content.decode()
    answer = client.post(change(provider), button, follow=True)
    assert "mistral answers with 1 model: alpha." in answer.content.decode()
    assert (listing.asked[0].base_url, listing.asked[0].key) == (provider.base_url, SECRET)
    listing.failure = InferenceError("The engine refused our key.")
    answer = client.post(LIST, {"action": "test_connection", "_selected_action": provider.pk}, follow=True)
    assert "api.mistral.example refused our key." in answer.content.decode()
    assert provider.engine.state == "loading", "a test writes nothing"


def test_what_is_disabled_is_not_tested(root: User, client_for: Callable[[User], Client], listing: Listing) -> None:
    client = client_for(root)
    provider = made(client, enabled="")
    answer = client.post(LIST, {"action": "test_connection", "_selected_action": provider.pk}, follow=True)
    assert "It is disabled" in answer.content.decode()
    client.post(change(provider), {**FORM, "enabled": "", TEST_BUTTON: "1"})
    assert listing.asked == []


def test_a_test_of_a_connection_reaches_no_inner_network(root: User, client_for: Callable[[User], Client]) -> None:
    """The row was written by hand, past the form: the socket refuses all the same."""
    engine = provider_engine("http://127.0.0.1:9/v1")
    Provider.objects.update(inner_network=False)
    answer = client_for(root).post(
        LIST, {"action": "test_connection", "_selected_action": engine.provider_id}, follow=True
    )
    assert "127.0.0.1 is an address of an inner network." in unescape(answer.content.decode())


@pytest.mark.usefixtures("keys")
def test_a_key_that_this_process_lacks_is_told(root: User, client_for: Callable[[User], Client]) -> None:
    provider = made(client_for(root), new_key="", key_variable="NOWHERE_API_KEY")
    answer = client_for(root).post(LIST, {"action": "test_connection", "_selected_action": provider.pk}, follow=True)
    assert "NOWHERE_API_KEY is not set in this process" in unescape(answer.content.decode())


def test_changing_an_address_forgets_what_was_known(root: User, client_for: Callable[[User], Client]) -> None:
    provider = made(client_for(root))
    Engine.objects.update(state="ready", served=[{"id": "alpha", "context_length": 1}], failures=3)
    moved = {**FORM, "base_url": "https://api2.mistral.example/v1"}
    assert client_for(root).post(change(provider), moved).status_code == 302
    engine = Engine.objects.get()
    assert (engine.state, engine.served, engine.failures, engine.base_url) == (
        "loading", [], 0, "https://api2.mistral.example/v1",
    )  # fmt: skip
