"""``manage.py set_limits``."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from sovereign.accounts import services
from sovereign.accounts.models import ApiKey, AuditEvent, Limit, Project
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import Demand, Subject

pytestmark = pytest.mark.django_db

NOTHING = [
    "Requests per minute: no limit",
    "Tokens per minute: no limit",
    "Tokens per day: no limit",
    "Concurrent calls: no limit",
]


def run(*arguments: str) -> list[str]:
    output = StringIO()
    call_command("set_limits", *arguments, stdout=output)
    return output.getvalue().splitlines()


def test_limits_are_set_changed_shown_and_taken_away(project: Project) -> None:
    assert run() == NOTHING
    assert run("--requests-per-minute", "60", "--tokens-per-day", "1000")[0] == "Requests per minute: 0 of 60"
    quotas.reserve([Demand((Subject("project", project.pk),), tokens=70)])
    assert run("--concurrent-calls", "5") == [
        "Requests per minute: 1 of 60",
        "Tokens per minute: no limit",
        "Tokens per day: 70 of 1000",
        "Concurrent calls: 0 of 5",
    ]
    assert run("--requests-per-minute", "0", "--tokens-per-day", "0", "--concurrent-calls", "0") == NOTHING
    assert not Limit.objects.exists()
    assert AuditEvent.objects.filter(action="project.limits_changed", user_id=None).count() == 3


def test_a_key_by_name_or_id(project: Project, api_key: str) -> None:
    key = ApiKey.objects.get()
    assert run("--key", "test", "--tokens-per-minute", "500")[1] == "Tokens per minute: 0 of 500"
    assert run("--key", key.pk)[1] == "Tokens per minute: 0 of 500"
    assert Limit.objects.get().key == key
    assert run() == NOTHING


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--project", "none"], "There is no project 'none'."),
        (["--key", "none"], "The project has no key 'none'."),
        (["--key", "twin"], "2 keys are called 'twin': give the id of one."),
        (["--requests-per-minute", "-1"], "Invalid 'requests_per_minute': expected a number from 1 to"),
        (["--key", "test", "--tokens-per-day", "101"], "the project has 100, and a key of it can have no more."),
    ],
)
def test_what_is_wrong_is_one_sentence(
    arguments: list[str], sentence: str, project: Project, api_key: str, charlies_key: str
) -> None:
    for _ in range(2):
        services.create_api_key(project=project, name="twin")
    run("--project", project.pk, "--tokens-per-day", "100")
    with pytest.raises(CommandError, match=sentence):
        run(*([] if "--project" in arguments else ["--project", project.pk]), *arguments)
