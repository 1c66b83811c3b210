"""``manage.py set_limits``: how much a project or one of its keys may use, and what is used of it now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sovereign.accounts import services
from sovereign.accounts.management.commands.create_api_key import project_named
from sovereign.accounts.models import ApiKey, Project
from sovereign.accounts.services import quotas
from sovereign.accounts.services.quotas import FIELDS, NONE, Subject
from sovereign.core.errors import ApiError


class Command(BaseCommand):
    help = "Limit what a project, or one of its API keys, may use; and show the limits with what is used now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", help="name or id; may be left out where there is only one project")
        parser.add_argument("--key", help="name or id of a key: its limits, not those of the whole project")
        for name in FIELDS:
            words = f"--{name.replace('_', '-')}"
            parser.add_argument(words, type=int, metavar="N", help="0 for no limit (default: as it is)")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        key = _key_named(options["key"], project) if options["key"] is not None else None
        subject = Subject("project", project.pk) if key is None else Subject("key", key.pk)
        given = {name: options[name] or None for name in FIELDS if options[name] is not None}
        if given:
            limits = replace(quotas.limits_of([subject]).get(subject.name, NONE), **given)
            try:
                if key is None:
                    services.set_project_limits(project=project, limits=limits)
                else:
                    services.set_key_limits(key=key, limits=limits)
            except ApiError as error:
                raise CommandError(error.message) from None
        self._show(subject)

    def _show(self, subject: Subject) -> None:
        limits = quotas.limits_of([subject]).get(subject.name, NONE)
        account = quotas.look([subject.name])[subject.name]
        for name in FIELDS:
            limit = getattr(limits, name)
            used = "no limit" if limit is None else f"{account.used(name)} of {limit}"
            self.stdout.write(f"{name.replace('_', ' ').capitalize()}: {used}")


def _key_named(wanted: str, project: Project) -> ApiKey:
    keys = ApiKey.objects.filter(project=project, revoked_at=None)
    matches = list(keys.filter(pk=wanted) or keys.filter(name=wanted))
    if not matches:
        raise CommandError(f"The project has no key '{wanted}'.")
    if len(matches) > 1:
        raise CommandError(f"{len(matches)} keys are called '{wanted}': give the id of one.")
    return matches[0]
