"""Versions of a prompt, their labels, and what they would say."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from assistants.prompts import services, variables
from assistants.prompts.api import documentation as about
from assistants.prompts.api.objects import (
    DeletedLabel,
    PromptDifferenceObject,
    PromptLabelList,
    PromptLabelObject,
    PromptPreviewObject,
    PromptVersionList,
    PromptVersionObject,
)
from assistants.prompts.api.serializers import LabelRequest, PreviewRequest, PromptVersionRequest
from assistants.prompts.models import PromptVersion
from assistants.prompts.rendering import (
    LABEL,
    render_deleted,
    render_label,
    render_version,
    render_versions,
)
from sovereign.accounts.api.audited import AuditedView
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.scopes import PROMPTS_READ, PROMPTS_WRITE
from sovereign.core.api.pagination import page_of, paginate_together
from sovereign.core.api.schema import PAGE_PARAMETERS
from sovereign.core.errors import ApiError


class PromptVersionsView(AuditedView):
    """List the versions of a prompt, or add one."""

    scopes = {"GET": PROMPTS_READ, "POST": PROMPTS_WRITE}
    actions = {"POST": "prompt.add_version"}
    subject = "prompt_id"
    serializer_class = PromptVersionRequest

    @about.documented("listPromptVersions", about.PROMPT_ID, *PAGE_PARAMETERS, responses=PromptVersionList)
    def get(self, request: Request, prompt_id: str) -> Response:
        """The versions of a prompt."""
        prompt = services.get_prompt(principal=principal_of(request), prompt_id=prompt_id)
        page = page_of(request.query_params)
        return Response(paginate_together(prompt.versions.all(), page, order_by=("number",), render=render_versions))

    @about.documented(
        "createPromptVersion",
        about.PROMPT_ID,
        request=PromptVersionRequest,
        responses=PromptVersionObject,
        examples=[about.ADD],
    )
    def post(self, request: Request, prompt_id: str) -> Response:
        """Add a version.

        It is the newest from now on; labels stay where they are. With `expected_version` nothing is added where
        somebody else was faster (409 `version_conflict`).
        """
        version = services.add_version(principal=principal_of(request), prompt_id=prompt_id, **self.body())
        return Response(render_version(version))


class PromptVersionView(AuditedView):
    scopes = {"GET": PROMPTS_READ}
    subject = "prompt_id"

    @about.documented("getPromptVersion", about.PROMPT_ID, about.VERSION, responses=PromptVersionObject)
    def get(self, request: Request, prompt_id: str, version: str) -> Response:
        """Read a version of a prompt."""
        found = services.get_version(principal=principal_of(request), prompt_id=prompt_id, version=version)
        return Response(render_version(found))


class PromptDifferenceView(AuditedView):
    scopes = {"GET": PROMPTS_READ}
    subject = "prompt_id"

    @about.documented("comparePromptVersions", about.PROMPT_ID, *about.ENDS, responses=PromptDifferenceObject)
    def get(self, request: Request, prompt_id: str) -> Response:
        """Compare two versions of a prompt."""
        prompt = services.get_prompt(principal=principal_of(request), prompt_id=prompt_id)
        after = services.find_version(prompt, request.query_params.get("to") or "newest")
        before = _before(after, request.query_params.get("from"))
        found = services.difference(before, after)
        return Response(
            {
                "object": "prompt.difference",
                "prompt_id": prompt.pk,
                "from": before.number,
                "to": after.number,
                "lines": found.lines,
                "words": [{"kind": kind, "text": text} for kind, text in found.words],
                "variables": found.variables,
            }
        )


class PromptLabelsView(AuditedView):
    scopes = {"GET": PROMPTS_READ}
    subject = "prompt_id"

    @about.documented("listPromptLabels", about.PROMPT_ID, *PAGE_PARAMETERS, responses=PromptLabelList)
    def get(self, request: Request, prompt_id: str) -> Response:
        """The labels of a prompt.

        They are listed by their names, and `after` and `before` are names.
        """
        prompt = services.get_prompt(principal=principal_of(request), prompt_id=prompt_id)
        page = page_of(request.query_params)
        rows = prompt.labels.select_related("version")
        return Response(
            paginate_together(
                rows, page, order_by=("name",), key="name", render=lambda labels: [*map(render_label, labels)]
            )
        )


class PromptLabelView(AuditedView):
    """Move a label, or take it away."""

    scopes = {"PUT": PROMPTS_WRITE, "DELETE": PROMPTS_WRITE}
    actions = {"PUT": "prompt.move_label", "DELETE": "prompt.remove_label"}
    subject = "prompt_id"
    serializer_class = LabelRequest

    @about.documented(
        "movePromptLabel",
        about.PROMPT_ID,
        about.NAME,
        request=LabelRequest,
        responses=PromptLabelObject,
        examples=[about.MOVE],
    )
    def put(self, request: Request, prompt_id: str, name: str) -> Response:
        """Have a label point to a version.

        The label is made where there is none of this name. Drafts of assistants that use it follow at once; published
        versions keep the version that it pointed to.
        """
        label = services.move_label(principal=principal_of(request), prompt_id=prompt_id, name=name, **self.body())
        return Response(render_label(label))

    @about.documented("deletePromptLabel", about.PROMPT_ID, about.NAME, responses=DeletedLabel)
    def delete(self, request: Request, prompt_id: str, name: str) -> Response:
        """Take a label away.

        One that an assistant uses stays.
        """
        services.remove_label(principal=principal_of(request), prompt_id=prompt_id, name=name)
        return Response(render_deleted(name, LABEL))


class PromptPreviewView(ApiView):
    scopes = {"POST": PROMPTS_READ}
    serializer_class = PreviewRequest
    is_recorded = False

    @about.documented(
        "previewPrompt",
        about.PROMPT_ID,
        request=PreviewRequest,
        responses=PromptPreviewObject,
        examples=[about.PREVIEW],
    )
    def post(self, request: Request, prompt_id: str) -> Response:
        """Fill a prompt in with sample values.

        Nothing is kept. Built-in variables for which no value is sent are shown by their names.
        """
        body = self.body()
        version = services.get_version(
            principal=principal_of(request), prompt_id=prompt_id, version=body.get("version", "newest")
        )
        shown = services.preview(
            template=body.get("template", version.template),
            variables=variables.checked(body["variables"]) if "variables" in body else version.variables,
            values=body.get("values", {}),
        )
        return Response(_preview(version, shown, is_kept="template" not in body and "variables" not in body))


def _preview(version: PromptVersion, shown: services.Preview, *, is_kept: bool) -> dict[str, Any]:
    return {
        "object": "prompt.preview",
        "prompt_id": version.prompt_id,
        "version": version.number if is_kept else None,
        "text": shown.text,
        "values": shown.values,
        "unused": shown.unused,
    }


def _before(after: PromptVersion, named: str | None) -> PromptVersion:
    """:raises ApiError: 404; 400, nothing is named and it is the first."""
    if named:
        return services.find_version(after.prompt, named)
    if after.parent is None:
        raise ApiError(
            f"Version {after.number} was made of no other: say with 'from' what to compare it with.",
            param="from",
            code="missing_required_parameter",
        )
    return after.parent
