"""The front door, for people and for programs."""

from collections.abc import Callable

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from inference import services as inference
from inference.models import Engine, Provider, RegisteredModel
from sovereign.accounts import services
from sovereign.accounts.models import Project, User
from sovereign.web import engines
from sovereign.web.landing import starter_figures

pytestmark = pytest.mark.django_db

PAGE = {"Accept": "text/html,application/xhtml+xml,application/json;q=0.1"}


def test_programs_get_name_version_and_links(client: Client) -> None:
    answer = client.get("/", headers={"Accept": "application/json"})
    body = answer.json()
    assert (body["name"], body["version"]) == ("Sovereign", "0.1.0")
    assert body["links"]["api"] == "http://testserver/v1"
    assert {"docs", "chat", "admin", "openapi", "health"} <= body["links"].keys()
    assert "Accept" in answer["Vary"]


def test_people_get_three_doors(client: Client, model: str) -> None:
    content = client.get("/", headers=PAGE).content.decode()
    for door in ('href="/chat/"', 'href="/admin/"', 'value="http://testserver/v1"', "sk-sov-"):
        assert door in content
    sample = content.partition('<code id="sample">')[2].partition("</code>")[0]
    assert len(sample.strip().splitlines()) == 6
    assert f"model=&quot;{model}&quot;" in sample


def test_a_browser_that_takes_anything_gets_the_page(client: Client) -> None:
    assert client.get("/", headers={"Accept": "*/*"})["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("state", "seconds", "reason", "sentence", "public"),
    [
        ("loading", 40, "", "Loading fake: 40 s so far.", None),
        ("loading", 125, "", "Loading fake: 2 min 5 s so far.", None),
        (
            "installing",
            7,
            "Downloading torch.",
            "Installing the engine: 7 s so far. Downloading torch.",
            "Installing the engine: 7 s so far.",
        ),
        ("ready", 9, "", "Ready. The model is fake.", None),
        ("asleep", 9, "", "Asleep. fake wakes up when somebody asks for it.", None),
        (
            "down",
            0,
            "It ran out of memory. Next try in 4 s.",
            ", because: It ran out of memory. Next try in 4 s.",
            ", because: the engine does not answer.",
        ),
        (
            "down",
            0,
            "10.0.0.7:8001 refused the connection.",
            ", because: 10.0.0.7:8001 refused the connection.",
            ", because: the engine does not answer.",
        ),
    ],
)
def test_the_engines_state_is_said_as_it_is(
    state: str,
    seconds: int,
    reason: str,
    sentence: str,
    public: str | None,
    client: Client,
    bob: User,
    engine: Callable[..., Engine],
    visit: Callable[[User], Client],
) -> None:
    """In the machine's words for staff, and in ours for everybody else."""

    def meanwhile(words: str) -> tuple[str, ...]:
        """The same, and as it is said some seconds later."""
        so_far = seconds % 60
        return tuple(words.replace(f"{so_far} s so far", f"{so_far + late} s so far") for late in range(15))

    engine(state=state, seconds=seconds, reason=reason)
    for visitor, words in ((visit(bob), sentence), (client, public or sentence)):
        body = visitor.get("/status.json").json()
        assert body["state"] == state
        assert body["sentence"].endswith(meanwhile(words))
        page = visitor.get("/", headers=PAGE).content.decode()
        assert any(one.rpartition(":")[2] in page for one in meanwhile(words))


def test_where_an_engine_is_only_staff_is_told(
    client: Client, alice: User, project: Project, visit: Callable[[User], Client]
) -> None:
    address = "10.0.0.7:8001"
    moment = timezone.now()
    Engine.objects.create(
        name="elsewhere",
        kind="openai_compatible",
        provider=Provider.objects.create(name="elsewhere", kind="openai_compatible", created_at=timezone.now()),
        base_url=f"http://{address}/v1",
        state="down",
        since=moment,
        reason=f"{address} refused the connection.",
        created_at=moment,
        heartbeat_at=moment,
    )
    viewer = User.objects.create_user("viewer")
    services.add_member(project=project, user=viewer, role="viewer")
    for visitor, is_told in ((client, False), (visit(viewer), False), (visit(alice), True)):
        for path in ("/status.json", "/"):
            assert (address in visitor.get(path, headers=PAGE).content.decode()) is is_told


def test_of_many_models_one_is_named_and_a_providers_names_are_not_for_strangers(
    client: Client, bob: User, visit: Callable[[User], Client]
) -> None:
    provider = inference.create_provider(name="elsewhere", kind="openai", base_url="https://api.example.org/v1")
    served = [{"id": f"model-{number}", "context_length": None} for number in range(5)]
    engine = Engine.objects.get(provider=provider)
    inference.record_probe(engine=engine, served=served, capabilities={}, token=True)
    told = visit(bob).get("/status.json").json()["engines"]
    assert told == [
        {
            "name": "elsewhere at api.example.org",
            "state": "ready",
            "sentence": "Ready. The models are model-0 and 4 others.",
        }
    ]
    inference.register_models(names=[("ours", "", None)])
    inference.set_default_model(model=RegisteredModel.objects.get(name="ours"))
    told = client.get("/status.json").json()["engines"]
    assert told == [{"name": engines.UNNAMED, "state": "ready", "sentence": "Ready."}]


def test_a_ready_engine_is_named_before_one_that_is_down(client: Client, engine: Callable[..., Engine]) -> None:
    engine(state="down", reason="gone")
    engine(state="ready")
    body = client.get("/status.json").json()
    assert body["state"] == "ready"
    assert [entry["state"] for entry in body["engines"]] == ["ready", "down"]


def test_without_an_engine_the_page_says_so(client: Client) -> None:
    assert client.get("/status.json").json()["state"] == "none"
    assert engines.NO_ENGINE in client.get("/", headers=PAGE).content.decode()


def test_without_a_database_the_page_still_answers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise DatabaseError

    monkeypatch.setattr(engines, "engine_status", away)
    answer = client.get("/", headers=PAGE)
    assert answer.status_code == 200
    assert engines.NO_DATABASE in answer.content.decode()


def test_a_demonstration_model_is_called_one(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines.gateway, "default_model", lambda: engines.STARTER_MODEL)
    content = client.get("/", headers=PAGE).content.decode()
    note = content.partition('id="demonstration"')[2].partition("</p>")[0]
    assert not note.startswith(" hidden")
    assert "SOVEREIGN_ENGINE_URL" in note
    assert "MODEL_NAME" in note
    assert client.get("/status.json").json()["is_demonstration"] is True


def test_another_model_is_not_called_a_demonstration(client: Client, model: str) -> None:
    content = client.get("/", headers=PAGE).content.decode()
    assert content.partition('id="demonstration"')[2].startswith(" hidden")


def test_a_person_logs_in_and_out(client: Client, project: Project, alice: User) -> None:
    alice.set_password("correct horse battery")
    alice.save()
    page = client.get("/login?next=/chat/").content.decode()
    assert 'name="next" value="/chat/"' in page
    wrong = client.post("/login", {"username": "alice", "password": "no"})
    assert 'role="alert"' in wrong.content.decode()
    answer = client.post("/login", {"username": "alice", "password": "correct horse battery", "next": "/chat/"})
    assert (answer.status_code, answer["Location"]) == (302, "/chat/")
    assert client.post("/logout")["Location"] == "/"
    assert client.get("/chat/").status_code == 302


def test_login_sends_nobody_to_another_host(client: Client, project: Project, alice: User) -> None:
    alice.set_password("correct horse battery")
    alice.save()
    data = {"username": "alice", "password": "correct horse battery", "next": "https://evil.example/"}
    assert client.post("/login", data)["Location"] == "/"


@pytest.mark.parametrize(("path", "target"), [("/chat", "/chat/"), ("/admin", "/admin/")])
def test_addresses_without_the_slash_lead_on(path: str, target: str, client: Client) -> None:
    assert client.get(path)["Location"] == target


def test_the_demonstration_model_says_how_good_it_is(client: Client) -> None:
    """Where its bar is missed, people read the figure and not only the card."""
    page = client.get("/", headers=PAGE).content.decode()
    figures = starter_figures()
    assert figures is not None
    assert f"{figures['answers']} % of our questions" in page
    assert f"in {figures['tools']} % of cases" in page
