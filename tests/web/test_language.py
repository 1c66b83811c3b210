"""Pages in the reader's language: what they chose, or else what their browser asks for. Programs read English."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from assistants.models import Assistant
from sovereign.accounts.models import User

pytestmark = pytest.mark.django_db

GERMAN = {"Accept": "text/html", "Accept-Language": "de-AT,de;q=0.9"}
WORDS = Path(settings.BASE_DIR) / "sovereign/web/static/web/words.js"


def test_a_browser_gets_what_it_asks_for(client: Client) -> None:
    answer = client.get("/login", headers=GERMAN)
    assert '<html lang="de">' in answer.content.decode()
    assert (answer["Content-Language"], "Accept-Language" in answer["Vary"]) == ("de", True)
    assert '<html lang="en">' in client.get("/login", headers={"Accept-Language": "fi"}).content.decode()


def test_a_choice_is_remembered_by_browser_and_person(
    client: Client, visit: Callable[[User], Client], alice: User, project: object
) -> None:
    answer = client.post("/language", {"language": "de", "next": "/login"})
    assert answer["Location"] == "/login"
    assert '<html lang="de">' in client.get("/login").content.decode()
    visit(alice).post("/language", {"language": "de", "next": "https://evil.example/"})
    assert '<html lang="de">' in visit(alice).get("/chat/").content.decode()  # another browser of hers
    visit(alice).post("/language", {"language": "xx"})
    alice.refresh_from_db()
    assert alice.language == "de"


@pytest.mark.parametrize("path", ["/v1/assistants", "/admin/login/", "/health/live", "/openapi.json"])
def test_what_programs_and_analysts_read_stays_english(client: Client, path: str) -> None:
    assert "Content-Language" not in client.get(path, headers=GERMAN)


def test_error_pages_speak_it_too(client: Client) -> None:
    assert '<html lang="de">' in client.get("/nowhere", headers=GERMAN).content.decode()


def test_scripts_get_their_words_before_they_run(
    visit: Callable[[User], Client], alice: User, assistant: Assistant
) -> None:
    page = visit(alice).get("/chat/", headers=GERMAN).content.decode()
    address = page.partition('<script src="/words/')[2].partition('"')[0]
    assert page.index("/words/de.js") < page.index('type="module"')
    answer = visit(alice).get(f"/words/{address}")
    assert "immutable" in answer["Cache-Control"]
    assert json.loads(answer.content.decode().partition("=")[2].rstrip(";\n"))
    assert "immutable" not in visit(alice).get("/words/de.js?v=old")["Cache-Control"]
    assert "/words/" not in visit(alice).get("/chat/").content.decode()
    assert visit(alice).get("/words/xx.js").status_code == 404


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_texts_are_filled_in_once_and_counted() -> None:
    module = (
        'globalThis.sovereignWords = {"Hi {name}": "Hallo {name}", "{n} file": ["{n} Datei", "{n} Dateien"]};\n'
        f"const {{ t, tn }} = await import({json.dumps(WORDS.as_uri())});\n"
        'const said = [t("Hi {name}", { name: "{n}" }), t("other {x}"), tn("{n} file", "{n} files", 1),'
        ' tn("{n} file", "{n} files", 3), tn("{n} tab", "{n} tabs", 0), t("constructor")];\n'
        "console.log(JSON.stringify(said));\n"
    )
    arguments = ["node", "--no-warnings", "--experimental-default-type=module", "--input-type=module", "-e", module]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["Hallo {n}", "other {x}", "1 Datei", "3 Dateien", "0 tabs", "constructor"]
