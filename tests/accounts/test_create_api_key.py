"""``manage.py create_api_key``."""

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from sovereign.accounts import credentials, services
from sovereign.accounts.models import ApiKey, Project
from sovereign.accounts.scopes import DEFAULT_KEY_SCOPES

pytestmark = pytest.mark.django_db


def create(*arguments: str, **options: Any) -> str:
    output = StringIO()
    call_command("create_api_key", *arguments, stdout=output, **options)
    return output.getvalue()


def test_it_prints_one_line_with_a_key_that_works(project: Project) -> None:
    line = re.fullmatch(r"API key: (sk-sov-\S+)\n", create())
    assert line
    principal = credentials.principal_of_key(line[1])
    assert (principal.project_id, principal.scopes) == (project.pk, DEFAULT_KEY_SCOPES)


def test_scopes_name_and_expiry(project: Project) -> None:
    create("--name", "CI", "--scope", "runs:read", "--scope", "models:read", "--expires-days", "7")
    key = ApiKey.objects.get()
    assert (key.name, key.scopes) == ("CI", ["models:read", "runs:read"])
    assert key.expires_at is not None
    assert abs(key.expires_at - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)


def test_an_environment(project: Project) -> None:
    create("--environment", "staging")
    assert ApiKey.objects.get().environment == "staging"


def test_a_project_by_name_or_id(project: Project, charlies_project: Project) -> None:
    create("--project", project.name)
    create("--project", charlies_project.pk)
    assert [key.project for key in ApiKey.objects.order_by("created_at", "id")] == [project, charlies_project]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--project", "none"], "There is no project 'none'."),
        ([], "There are several projects: say which one with --project NAME_OR_ID."),
        (["--project", "Twin"], "2 projects are called 'Twin': give the id of one with --project."),
        (["--project", "Alice's", "--scope", "all"], "Unknown scope: 'all'."),
        (
            ["--project", "Alice's", "--environment", "nowhere"],
            "Unknown environment: 'nowhere'. Supported values are: development, testing, staging, production.",
        ),
        (["--project", "Alice's", "--expires-days", "0"], "--expires-days must be between 1 and 36500."),
        (["--project", "Alice's", "--expires-days", "99999999"], "--expires-days must be between 1 and 36500."),
        (["--project", "Alice's", "--name", " "], "Invalid 'name': it must not be empty."),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments: list[str], sentence: str, project: Project) -> None:
    services.create_project(name="Twin")
    services.create_project(name="Twin")
    with pytest.raises(CommandError) as error:
        create(*arguments)
    assert str(error.value) == sentence
    assert not ApiKey.objects.exists()


def test_without_a_project_it_says_how_to_get_one(db: None) -> None:
    with pytest.raises(CommandError, match="There is no project yet"):
        create()


def test_an_archived_project_gets_no_key(project: Project) -> None:
    services.archive_project(project=project)
    with pytest.raises(CommandError):
        create("--project", project.pk)
