"""What may be done (scopes) and who may do it (roles): the one table of both.

A role and an API key are both nothing but a set of scopes. Only ownership itself is more than its scopes: who is
owner is changed by owners alone (``services.memberships``).
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models

from sovereign.core.errors import ApiError

ASSISTANTS_READ = "assistants:read"
ASSISTANTS_WRITE = "assistants:write"
ASSISTANTS_DEPLOY = "assistants:deploy"
ASSISTANTS_PROMOTE = "assistants:promote"
PROMPTS_READ = "prompts:read"
PROMPTS_WRITE = "prompts:write"
EVALUATIONS_READ = "evaluations:read"
EVALUATIONS_WRITE = "evaluations:write"
THREADS_READ = "threads:read"
THREADS_WRITE = "threads:write"
THREADS_REDACT = "threads:redact"
RUNS_READ = "runs:read"
RUNS_WRITE = "runs:write"
MODELS_READ = "models:read"
MODELS_WRITE = "models:write"
FILES_READ = "files:read"
FILES_WRITE = "files:write"
STORES_READ = "vector_stores:read"
STORES_WRITE = "vector_stores:write"
CHAT_READ = "chat:read"
CHAT_WRITE = "chat:write"
CONVERSATIONS_READ = "conversations:read"
KEYS_MANAGE = "keys:manage"
MEMBERS_MANAGE = "members:manage"
AUDIT_READ = "audit:read"
USAGE_READ = "usage:read"
ANALYTICS_READ = "analytics:read"
ALERTS_WRITE = "alerts:write"
TOOLS_MANAGE = "tools:manage"
HEALTH_READ = "health:read"

#: Every scope, with what it allows in the words of the admin's form.
DESCRIPTIONS: dict[str, str] = {
    ASSISTANTS_READ: "See assistants",
    ASSISTANTS_WRITE: "Make, change and delete assistants",
    ASSISTANTS_DEPLOY: "Deploy assistants to development and testing",
    ASSISTANTS_PROMOTE: "Deploy to staging and production, approve, scale; see what members keep to themselves",
    PROMPTS_READ: "See the library of prompts",
    PROMPTS_WRITE: "Make, change, label and delete prompts",
    EVALUATIONS_READ: "See evaluations and their results",
    EVALUATIONS_WRITE: "Make, change and run evaluations",
    THREADS_READ: "Read threads and their messages",
    THREADS_WRITE: "Make threads, write messages, change and delete them",
    THREADS_REDACT: "Take what messages say out of threads, for good",
    RUNS_READ: "Read runs, their steps and their events",
    RUNS_WRITE: "Start and cancel runs, submit tool outputs",
    MODELS_READ: "See the models",
    MODELS_WRITE: "Forget models that no engine serves, for the whole house",
    FILES_READ: "See files and download those that may be",
    FILES_WRITE: "Upload and delete files",
    STORES_READ: "See vector stores and search them",
    STORES_WRITE: "Make, fill, change and delete vector stores",
    CHAT_READ: "Read stored chat completions",
    CHAT_WRITE: "Call models: chats, completions, embeddings, moderations; change stored chat completions",
    CONVERSATIONS_READ: "Read the chat threads of other members",
    KEYS_MANAGE: "Make and revoke API keys",
    MEMBERS_MANAGE: "Add and remove members, change their roles",
    AUDIT_READ: "Read the audit log",
    USAGE_READ: "See the usage of the project",
    ANALYTICS_READ: "See how assistants do, and alerts about them",
    ALERTS_WRITE: "Make, change and delete rules of alerts; acknowledge alerts",
    TOOLS_MANAGE: "Register MCP servers and allow their tools (people only, in the admin)",
    HEALTH_READ: "Read metrics, and the engines and providers of the whole house",
}
ALL_SCOPES: frozenset[str] = frozenset(DESCRIPTIONS)
#: What concerns every project: superusers and the server's commands give keys that have it, no role of a project has.
OF_THE_HOUSE: frozenset[str] = frozenset({MODELS_WRITE, HEALTH_READ})


class Role(models.TextChoices):
    """A person's place in a project, from the least to the most."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    ADMIN = "admin"
    OWNER = "owner"


_VIEWER = frozenset(
    {ASSISTANTS_READ, THREADS_READ, THREADS_WRITE, RUNS_READ, RUNS_WRITE, MODELS_READ, CHAT_READ, CHAT_WRITE}
    | {FILES_READ, FILES_WRITE, STORES_READ, PROMPTS_READ, EVALUATIONS_READ}
)
_ANALYST = _VIEWER | {ASSISTANTS_WRITE, ASSISTANTS_DEPLOY, STORES_WRITE, CONVERSATIONS_READ}
_ANALYST |= {PROMPTS_WRITE, EVALUATIONS_WRITE, ANALYTICS_READ, ALERTS_WRITE}
_ADMIN = _ANALYST | {ASSISTANTS_PROMOTE, KEYS_MANAGE, MEMBERS_MANAGE, AUDIT_READ, USAGE_READ, TOOLS_MANAGE}
_ADMIN |= {THREADS_REDACT}

ROLE_SCOPES: dict[str, frozenset[str]] = {
    Role.VIEWER.value: _VIEWER,
    Role.ANALYST.value: _ANALYST,
    Role.ADMIN.value: _ADMIN,
    Role.OWNER.value: ALL_SCOPES - OF_THE_HOUSE,
}

#: The roles that get into the admin.
STAFF_ROLES: frozenset[str] = frozenset({Role.ANALYST.value, Role.ADMIN.value, Role.OWNER.value})

#: What an application needs: all of the Assistants API, nothing about people and keys.
DEFAULT_KEY_SCOPES: frozenset[str] = _VIEWER | {ASSISTANTS_WRITE, STORES_WRITE}


def known(scopes: Iterable[str]) -> list[str]:
    """The scopes without repetitions, sorted.

    :raises ApiError: none was given, or one of them does not exist.
    """
    wanted = set(scopes)
    unknown = sorted(wanted - ALL_SCOPES)
    if unknown:
        raise ApiError(f"Unknown scope: '{unknown[0]}'.", param="scopes", code="invalid_value")
    if not wanted:
        raise ApiError("An API key needs at least one scope.", param="scopes", code="invalid_value")
    return sorted(wanted)
