"""What a fresh installation needs to be of use: tables, an administrator, a project, a key, an assistant to talk to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.conf import settings
from django.core.management import call_command

from assistants.models import Assistant
from assistants.services import create_assistant
from inference import gateway
from inference import services as inference
from inference.naming import served_name
from inference.starter import persona
from sovereign.accounts import services as accounts
from sovereign.accounts.models import Project, User
from sovereign.accounts.principals import Principal
from sovereign.accounts.scopes import ROLE_SCOPES, Role
from sovereign.core.database import is_migrated, service

ADMINISTRATOR = "admin"
PROJECT_NAME = "Default"
KEY_NAME = "First key"
#: The name the demo assistant asks for where the engine's own models are not known yet: always the default model.
ANY_MODEL = "gpt-4o"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Shown once and stored nowhere; ``None`` for what was there already."""

    password: str | None = None
    api_key: str | None = None


def prepare() -> Credentials:
    """Migrate, and on the first start make what is missing. Run again it changes nothing."""
    if not is_migrated():  # `migrate` takes a second even where there is nothing to do
        call_command("migrate", verbosity=0, interactive=False)
    register_models()
    credentials = first_start() if not Project.objects.exists() else Credentials()
    accept_configured_key()
    return credentials


def register_models() -> None:
    """Make the model known that this installation runs, so that assistants can name it before it is loaded."""
    configuration = settings.SOVEREIGN
    inference.synchronise_environment()
    if configuration.model_name or not configuration.engine_url:
        name = served_name(configuration.model_name)
        inference.register_models(names=[(name, configuration.model_name, None)])


@service
def first_start() -> Credentials:
    """The first administrator, project, key and assistant."""
    password = secrets.token_urlsafe(15)
    user = User(username=ADMINISTRATOR, is_superuser=True)
    user.set_password(password)
    user = accounts.save_user(user=user)
    project = accounts.create_project(name=PROJECT_NAME, owner=user)
    principal = Principal(project_id=project.id, user_id=user.pk, role=Role.OWNER, scopes=ROLE_SCOPES[Role.OWNER])
    configured = settings.SOVEREIGN.api_key or None
    _, secret = accounts.create_api_key(project=project, name=KEY_NAME, secret=configured)
    create_demo_assistant(principal)
    return Credentials(password=password, api_key=None if configured else secret)


def create_demo_assistant(principal: Principal) -> Assistant:
    return create_assistant(
        principal=principal,
        name=persona.DEMO_NAME,
        description=persona.DEMO_DESCRIPTION,
        instructions=persona.DEMO_INSTRUCTIONS,
        model=gateway.default_model() or ANY_MODEL,
        temperature=0.0,
    )


def accept_configured_key() -> None:
    """A ``SOVEREIGN_API_KEY`` set later is a key of the first project too, unless it was replaced there."""
    secret = settings.SOVEREIGN.api_key
    if secret and not accounts.is_known(secret):
        project = Project.objects.active().earliest("created_at")
        accounts.create_api_key(project=project, name="SOVEREIGN_API_KEY", secret=secret)
