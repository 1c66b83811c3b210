"""``manage.py create_api_key``: a key for an application, shown once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from sovereign.accounts import services
from sovereign.accounts.models import Project
from sovereign.accounts.scopes import DEFAULT_KEY_SCOPES, DESCRIPTIONS
from sovereign.accounts.services.keys import environments
from sovereign.core.errors import ApiError

LONGEST_LIFE = 36_500  # days


class Command(BaseCommand):
    help = "Make an API key and print it once, on a line 'API key: sk-sov-…'."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", help="name or id; may be left out where there is only one project")
        parser.add_argument("--name", default="Command line", help="what the key is for")
        parser.add_argument(
            "--scope",
            action="append",
            metavar="SCOPE",
            help=f"repeat for several; one of {', '.join(DESCRIPTIONS)} (default: all of the Assistants API)",
        )
        parser.add_argument(
            "--environment",
            help=f"one of {', '.join(environments)}: its runs use what is deployed there "
            "(default: the assistants as they were last written)",
        )
        parser.add_argument("--expires-days", type=int, help="days until the key expires (default: never)")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["expires_days"]
        if days is not None and not 1 <= days <= LONGEST_LIFE:
            raise CommandError(f"--expires-days must be between 1 and {LONGEST_LIFE}.")
        try:
            _, secret = services.create_api_key(
                project=project_named(options["project"]),
                name=options["name"],
                scopes=options["scope"] or DEFAULT_KEY_SCOPES,
                expires_at=timezone.now() + timedelta(days=days) if days else None,
                environment=options["environment"],
            )
        except ApiError as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"API key: {secret}")


def project_named(wanted: str | None) -> Project:
    """:raises CommandError: there is none, or more than one."""
    projects = Project.objects.active()
    if wanted is not None:
        matches = list(projects.filter(pk=wanted) or projects.filter(name=wanted))
        if not matches:
            raise CommandError(f"There is no project '{wanted}'.")
        if len(matches) > 1:
            raise CommandError(f"{len(matches)} projects are called '{wanted}': give the id of one with --project.")
        return matches[0]
    matches = list(projects[:2])
    if not matches:
        raise CommandError("There is no project yet: 'make up' makes the first one, or make one in the admin.")
    if len(matches) > 1:
        raise CommandError("There are several projects: say which one with --project NAME_OR_ID.")
    return matches[0]
