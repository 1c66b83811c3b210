"""The audit log in sentences: what was done, in the words of who reads it.

An action without a line here is said by its own name, so that none is missing: ``assistant.status_changed`` is "status
changed". What stands in braces is of the event's details; ``{object}`` is what it was done to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sovereign.core import times

LONGEST = 80  # characters of a detail in a sentence
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")  # as JSON keeps it

#: What the kinds of objects are called.
KINDS = {
    "alert": "alert",
    "alertrule": "alert rule",
    "apikey": "API key",
    "arrival": "arrival",
    "assistant": "assistant",
    "conversation": "conversation",
    "deployment": "deployment",
    "evaluation": "evaluation",
    "evaluation_run": "evaluation run",
    "file": "file",
    "function": "function",
    "invitation": "invitation",
    "limit": "limits",
    "mcpserver": "MCP server",
    "membership": "member",
    "message": "message",
    "modelalias": "model alias",
    "modelprice": "price",
    "project": "project",
    "prompt": "prompt",
    "provider": "provider",
    "registeredmodel": "model",
    "run": "run",
    "storedcompletion": "chat completion",
    "thread": "thread",
    "upload": "upload",
    "user": "person",
    "vectorstore": "vector store",
}

SENTENCES = {
    "alert.acknowledged": "took the alert {object} in hand",
    "alert_rule.created": "made the alert rule {object}",
    "alert_rule.updated": "changed {fields} of the alert rule {object}",
    "alert_rule.deleted": "deleted the alert rule {object}",
    "alert_rule.tested": "sent a test of the alert rule {object}",
    "alert_rule.webhook_gone": "gave up the address of the alert rule {object}: it is gone",
    "api_key.created": "made the API key {object}",
    "api_key.revoked": "revoked the API key {object}",
    "api_key.rotated": "gave the API key {object} a new secret; the old one is taken until {old_secret_until}",
    "api_key.old_secrets_ended": "ended {secrets} old secrets of the API key {object}",
    "api_key.limits_changed": "changed the limits of the API key {object}",
    "assistant.created": "made the assistant {object}",
    "assistant.updated": "changed {fields} of the assistant {object}",
    "assistant.deleted": "deleted the assistant {object}",
    "assistant.cloned": "cloned the assistant {object} to {clone}",
    "assistant.prompt_linked": "linked the prompt {prompt} to the assistant {object}",
    "assistant.prompt_link_changed": "changed how the assistant {object} uses the prompt {prompt}",
    "assistant.prompt_unlinked": "took the prompt {prompt} from the assistant {object}",
    "assistant.prompts_ordered": "put the prompts of the assistant {object} in another order",
    "assistant.published": "published version {number} of the assistant {object}",
    "assistant.restored": "took the assistant {object} back to version {number}",
    "assistant.scaled": "scaled the assistant {object} in {environment}",
    "assistant.status_changed": "changed the state of the assistant {object} from {before} to {after}",
    "assistant.used_elsewhere": "noted {count} uses of the assistant {object} in {source}",
    "chat_completion.updated": "changed the stored chat completion {object}",
    "chat_completion.deleted": "deleted the stored chat completion {object}",
    "conversation.started": "began the conversation {object}",
    "conversation.ended": "ended the conversation {object}",
    "conversation.rated": "rated the conversation {object}",
    "conversation.context_changed": "changed {fields} of the conversation {object}",
    "deployment.created": "asked for version {version} of {assistant} in {environment}",
    "deployment.approved": "approved version {version} of {assistant} for {environment}",
    "deployment.rejected": "rejected version {version} of {assistant} for {environment}",
    "deployment.shared": "gave version {version} of {assistant} {percent} % of the threads in {environment}",
    "deployment.active": "put version {version} of {assistant} into service in {environment}",
    "deployment.canary": "began a canary of version {version} of {assistant} in {environment}",
    "deployment.superseded": "replaced version {version} of {assistant} in {environment}",
    "deployment.rolled_back": "took back version {version} of {assistant} in {environment}: {reason}",
    "deployment.failed": "did not deploy version {version} of {assistant} to {environment}: {reason}",
    "deployment.cancelled": "called off version {version} of {assistant} for {environment}",
    "deployment.retired": "took version {version} of {assistant} out of service in {environment}",
    "environment.policy_set": "set the rules of {environment}",
    "evaluation.created": "made the evaluation {object}",
    "evaluation.updated": "changed {fields} of the evaluation {object}",
    "evaluation.deleted": "deleted the evaluation {object}",
    "evaluation.cases_added": "put {cases} cases into the evaluation {object}",
    "evaluation.case_updated": "changed a case of the evaluation {object}",
    "evaluation.case_deleted": "deleted a case of the evaluation {object}",
    "evaluation.run_started": "ran the evaluation {object} on version {version}",
    "evaluation.run_cancelled": "called off the evaluation run {object}",
    "expectations.updated": "changed what is expected of assistants",
    "file.created": "uploaded the file {object}",
    "file.deleted": "deleted the file {object}",
    "file.expired": "removed the file {object}, whose time was over",
    "function.created": "made the function {object}",
    "function.updated": "changed {fields} of the function {object}",
    "function.deleted": "deleted the function {object}",
    "mcpserver.created": "registered the MCP server {label}",
    "mcpserver.changed": "changed the MCP server {label}",
    "mcpserver.deleted": "removed the MCP server {label}",
    "mcpserver.tools_allowed": "allowed {allowed} of the MCP server {object}, and withheld {withheld}",
    "mcpserver.tools_changed": "withheld {withheld} of the MCP server {object}: it describes them otherwise now",
    "invitation.accepted": "came into the project by an invitation, as {role}",
    "invitation.created": "invited {email} as {role}",
    "invitation.revoked": "revoked the invitation of {email}",
    "membership.created": "made {user} a member, as {role}",
    "membership.changed": "made {user} {role}, from {before}",
    "membership.removed": "removed {user}, who was {role}",
    "message.deleted": "deleted the message {object}",
    "message.redacted": "redacted the message {object}",
    "model.made_default": "made {name} the default model",
    "model.deleted": "removed the model {name}",
    "model.tested": "tested the model {name}",
    "model.fallbacks_set": "set the fallbacks of {name}: {fallbacks}",
    "model_alias.created": "made {alias} another name for {model}",
    "model_price.created": "set what {model} costs",
    "model_price.changed": "changed what {model} costs",
    "model_price.deleted": "removed what {model} costs",
    "project.created": "made the project {object}",
    "project.renamed": "renamed the project to {name}",
    "project.archived": "archived the project {object}",
    "project.restored": "restored the project {object}",
    "project.sharing_allowed": "allowed links to conversations in the project {object}",
    "project.sharing_forbidden": "forbade links to conversations in the project {object}",
    "project.limits_changed": "changed the limits of the project {object}",
    "prompt.created": "made the prompt {object}",
    "prompt.updated": "changed {fields} of the prompt {object}",
    "prompt.deleted": "deleted the prompt {object}",
    "prompt.version_added": "wrote version {number} of the prompt {object}",
    "prompt.label_moved": "moved a label of the prompt {object}",
    "prompt.label_removed": "took a label from the prompt {object}",
    "provider.created": "made the provider {object}",
    "provider.changed": "changed the provider {object}",
    "provider.deleted": "deleted the provider {object}",
    "provider.model_pulled": "had {object} fetch the model {model}",
    "provider.pull_cancelled": "called off that {object} fetches the model {model}",
    "provider.tested": "tested the provider {object} with {model}",
    "run.created": "began the run {object}",
    "run.call_approved": "approved the call of {tool} by the run {object}",
    "run.call_refused": "refused the call of {tool} by the run {object}",
    "run.cancelled": "cancelled the run {object}",
    "run.rated": "rated the run {object}: {rating}",
    "run.rating_withdrawn": "withdrew the rating of the run {object}",
    "run.replayed": "replayed the run {object}",
    "thread.created": "began the thread {object}",
    "thread.deleted": "deleted the thread {object}",
    "thread.exported": "exported the thread {object}",
    "thread.link_revoked": "revoked a link to the thread {object}",
    "thread.read": "read the thread {object}, which is another's",
    "thread.shared": "shared the thread {object} by a link",
    "upload.created": "began the upload {object}",
    "upload.cancelled": "cancelled the upload {object}",
    "user.arrival_refused": "did not let {object} in, who comes from {issuer}: {reason}",
    "user.connected": "connected {object} with {issuer}",
    "user.disconnected": "disconnected {object} from {issuer}",
    "user.created": "made the person {username}",
    "user.changed": "changed the person {username}",
    "user.email_checked": "said that {email} is the address of {username}",
    "user.password_changed": "changed the password of {username}",
    "user.registered": "came as {username}",
    "vector_store.created": "made the vector store {object}",
    "vector_store.updated": "changed {fields} of the vector store {object}",
    "vector_store.deleted": "deleted the vector store {object}",
    "vector_store.files_added": "put {number} files into the vector store {object}",
    "vector_store.file_updated": "changed a file of the vector store {object}",
    "vector_store.file_removed": "took a file out of the vector store {object}",
    "vector_store.batch_cancelled": "called off the reading of {files} files of the vector store {object}",
    "vector_store.reading_cancelled": "called off the reading of {files} files of the vector store {object}",
}
REFUSED = "_refused"


class _Said(dict[str, str]):
    """The details in words; one that is missing is left open."""

    def __missing__(self, name: str) -> str:
        return "…"


def sentence(action: str, kind: str, name: str, details: Mapping[str, Any]) -> str:
    """What was done, without who did it.

    :param name: what the object is called.

    >>> sentence("assistant.published", "assistant", "Guide", {"number": 3})
    'published version 3 of the assistant Guide'
    >>> sentence("assistant.deploy_refused", "assistant", "Guide", {"code": "gate"})
    'was refused: deploy, assistant Guide'
    >>> sentence("alert_rule.put_away", "alertrule", "rule_1", {})
    'put away, alert rule rule_1'
    """
    if (template := SENTENCES.get(action)) is not None:
        said = _Said({name: in_words(value) for name, value in details.items()})
        return template.format_map(_Said({**said, "object": in_words(name)}))
    what = action.partition(".")[2] or action
    plain = what.removesuffix(REFUSED).replace("_", " ")
    about = f"{KINDS.get(kind, kind)} {in_words(name)}"
    return f"was refused: {plain}, {about}" if what.endswith(REFUSED) else f"{plain}, {about}"


def in_words(value: Any) -> str:
    """
    >>> in_words("2026-11-23T08:21:43.189Z")
    '2026-11-23 08:21 UTC'
    >>> in_words(["name", "tools"]), in_words(None), in_words(True), in_words({"a": 1, "b": "x"})
    ('name, tools', 'nothing', 'yes', 'a: 1, b: x')
    """
    match value:
        case None | "" | []:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            text = ", ".join(in_words(item) for item in value)
        case dict():
            text = ", ".join(f"{key}: {in_words(item)}" for key, item in value.items())
        case str() if (instant := _instant(value)) is not None:
            text = times.told(instant)
        case _:
            text = str(value)
    text = text or "nothing"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _instant(text: str) -> datetime | None:
    """The moment that a text is; ``None`` for any other, also one that only looks like it."""
    try:
        return datetime.fromisoformat(text) if INSTANT.match(text) else None
    except ValueError:
        return None


def actions() -> list[tuple[str, list[tuple[str, str]]]]:
    """The known actions by what they are about, for a choice: ``("prompt", [("prompt.created", "created"), …])``."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for action in sorted(SENTENCES):
        about, _, done = action.partition(".")
        groups.setdefault(about.replace("_", " "), []).append((action, done.replace("_", " ")))
    return [(about, [(f"{about.replace(' ', '_')}.", f"all of {about}"), *group]) for about, group in groups.items()]
