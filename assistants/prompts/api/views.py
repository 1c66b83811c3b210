"""``/api/v1/prompts``: the library itself."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from assistants.kinds import AssistantType
from assistants.prompts import services
from assistants.prompts.api import documentation as about
from assistants.prompts.api.objects import DeletedPrompt, PromptList, PromptObject, PromptUsageObject
from assistants.prompts.api.serializers import ChangePromptRequest, PromptRequest
from assistants.prompts.models import Prompt
from assistants.prompts.querysets import PromptQuerySet
from assistants.prompts.rendering import PROMPT, render_deleted, render_prompt, render_prompts
from sovereign.accounts.api.audited import AuditedView
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.scopes import PROMPTS_READ, PROMPTS_WRITE
from sovereign.core.api.pagination import BY_CREATION, page_of, paginate_together
from sovereign.core.api.schema import PAGE_PARAMETERS
from sovereign.core.api.validation import NOT_TEXT, SHOWN, supported
from sovereign.core.errors import ApiError

LONGEST_FILTER = 256  # characters


class PromptsView(AuditedView):
    """List the project's prompts, or make one."""

    scopes = {"GET": PROMPTS_READ, "POST": PROMPTS_WRITE}
    actions = {"POST": "prompt.create"}
    subject = "prompt_id"
    serializer_class = PromptRequest

    @about.documented("listPrompts", *about.FILTERS, *PAGE_PARAMETERS, responses=PromptList)
    def get(self, request: Request) -> Response:
        """The project's prompts."""
        rows = _filtered(Prompt.objects.visible_to(principal_of(request)), request)
        page = page_of(request.query_params)
        return Response(paginate_together(rows, page, order_by=BY_CREATION, render=render_prompts))

    @about.documented("createPrompt", request=PromptRequest, responses=PromptObject, examples=[about.CREATE])
    def post(self, request: Request) -> Response:
        """Make a prompt.

        It has one version, the first. A template that names what is no variable of it is refused.
        """
        return Response(render_prompt(services.create_prompt(principal=principal_of(request), **self.body())))


class PromptView(AuditedView):
    """Read, change or delete one prompt."""

    scopes = {"GET": PROMPTS_READ, "PUT": PROMPTS_WRITE, "DELETE": PROMPTS_WRITE}
    actions = {"PUT": "prompt.update", "DELETE": "prompt.delete"}
    subject = "prompt_id"
    serializer_class = ChangePromptRequest
    partial_body = True

    @about.documented("getPrompt", about.PROMPT_ID, responses=PromptObject)
    def get(self, request: Request, prompt_id: str) -> Response:
        """Read a prompt."""
        return Response(render_prompt(services.get_prompt(principal=principal_of(request), prompt_id=prompt_id)))

    @about.documented(
        "updatePrompt",
        about.PROMPT_ID,
        request=ChangePromptRequest,
        responses=PromptObject,
        examples=[about.CHANGE],
    )
    def put(self, request: Request, prompt_id: str) -> Response:
        """Change what is said of a prompt.

        Only the fields that are sent change. Another text is another version: `POST …/versions`.
        """
        prompt = services.update_prompt(principal=principal_of(request), prompt_id=prompt_id, **self.body())
        return Response(render_prompt(prompt))

    @about.documented("deletePrompt", about.PROMPT_ID, responses=DeletedPrompt)
    def delete(self, request: Request, prompt_id: str) -> Response:
        """Delete a prompt with its versions.

        One that an assistant has is not deleted. Published versions of assistants keep its words.
        """
        services.delete_prompt(principal=principal_of(request), prompt_id=prompt_id)
        return Response(render_deleted(prompt_id, PROMPT))


class PromptUsageView(AuditedView):
    scopes = {"GET": PROMPTS_READ}
    subject = "prompt_id"

    @about.documented("getPromptUsage", about.PROMPT_ID, responses=PromptUsageObject)
    def get(self, request: Request, prompt_id: str) -> Response:
        """Who uses a prompt."""
        principal = principal_of(request)
        prompt = services.get_prompt(principal=principal, prompt_id=prompt_id)
        uses = [
            {
                "assistant_id": use.assistant_id,
                "assistant_name": use.assistant_name,
                "link_id": use.link_id,
                "kind": use.kind,
                "label": use.label or None,
                "version": use.version,
                "is_enabled": use.is_enabled,
            }
            for use in services.uses_of(principal, prompt)
        ]
        return Response({"object": "prompt.usage", "prompt_id": prompt.pk, "assistants": uses})


def _filtered(rows: PromptQuerySet, request: Request) -> PromptQuerySet:
    """:raises ApiError: 400, a filter that nothing can fit."""
    asked = {name: _filter(request, name) for name in ("q", "type", "tag", "language")}
    if asked["type"]:
        if asked["type"] not in AssistantType.values:
            raise ApiError(
                f"Invalid value: '{asked['type'][:SHOWN]}'. Supported values are: {supported(AssistantType.values)}.",
                param="type",
                code="invalid_value",
            )
        rows = rows.filter(type=asked["type"])
    if asked["language"]:
        rows = rows.in_language(asked["language"])
    if asked["tag"]:
        rows = rows.tagged(asked["tag"])
    return rows.matching(asked["q"]) if asked["q"] else rows


def _filter(request: Request, name: str) -> str:
    text: str = request.query_params.get(name, "").strip()
    if len(text) > LONGEST_FILTER or NOT_TEXT.search(text):
        raise ApiError(
            f"Invalid '{name}': a text of at most {LONGEST_FILTER} characters.", param=name, code="invalid_value"
        )
    return text
