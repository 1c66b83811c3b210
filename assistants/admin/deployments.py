"""The deployments of an assistant in the admin: what is where, how a canary does, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst

from assistants import deployments
from assistants.admin.deployment_acts import DECISION_ACTS, DECISIONS_OF, PLACE_ACTS, Act, Asked, why_not
from assistants.admin.deployment_forms import ActForm
from assistants.admin.deployment_rows import fill, findings, history, places
from assistants.admin.tabs import DEPLOYMENTS as PAGE
from assistants.admin.tabs import tabs
from assistants.kinds import Environment
from assistants.models import Assistant, Deployment
from sovereign.accounts import audit
from sovereign.accounts.admin.base import ProjectAdmin
from sovereign.core.errors import ApiError

LISTED = 30  # deployments in the history; all of them stand in the list
ROUTE = "<path:object_id>/deployments/"


class DeploymentsOnPage(ProjectAdmin):
    """The pages of an assistant's deployments; the page of the assistant itself derives from this."""

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "deployments": ("", self.deployments_view),
            "deployment_act": ("in/<str:environment>/<str:name>/", self.act_view),
            "deployment_decision": ("of/<str:deployment_id>/<str:name>/", self.decision_view),
        }
        own = [
            path(f"{ROUTE}{route}", self.admin_site.admin_view(view), name=f"assistants_assistant_{name}")
            for name, (route, view) in views.items()
        ]
        return [*own, *super().get_urls()]

    def deployments_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What of the assistant is where, and the newest of its history."""
        assistant = self._deployed(request, object_id)
        found = Deployment.objects.of(assistant.pk).select_related("version").order_by("-created_at", "-id")
        listed = list(found[: LISTED + 1])
        context = {
            "title": f"Deployments of {assistant}",
            "places": places(self.principal_for(request, assistant), assistant),
            "rows": history(listed[:LISTED]),
            "has_older": len(listed) > LISTED,
            "list_address": f"{reverse('admin:assistants_deployment_changelist')}?assistant={quote(assistant.pk)}",
        }
        return self._deployments_page(request, assistant, "admin/assistants/deployments.html", context)

    def act_view(self, request: HttpRequest, object_id: str, environment: str, name: str) -> HttpResponse:
        """``GET``: what is asked before something is done in an environment. ``POST``: it is done, or refused."""
        assistant = self._deployed(request, object_id)
        if environment not in Environment.values or name not in PLACE_ACTS:
            raise Http404("no such environment, or nothing that is done there")
        asked = Asked(
            principal=self.principal_for(request, assistant), assistant=assistant, environment=Environment(environment)
        )
        if name == "promote" and asked.environment.following is None:
            raise Http404("nothing comes after it")
        return self._confirmed(request, PLACE_ACTS[name], asked)

    def decision_view(self, request: HttpRequest, object_id: str, deployment_id: str, name: str) -> HttpResponse:
        """The same for a decision about one deployment."""
        assistant = self._deployed(request, object_id)
        found = Deployment.objects.of(assistant.pk).filter(pk=deployment_id).select_related("version").first()
        if found is None or name not in DECISION_ACTS:
            raise Http404("no such deployment, or nothing that is decided about it")
        asked = Asked(
            principal=self.principal_for(request, assistant),
            assistant=assistant,
            environment=Environment(found.environment),
            deployment=found,
        )
        if request.method != "POST" and name not in DECISIONS_OF.get(found.status, ()):
            words = f"The deployment has come further meanwhile: {found.get_status_display().lower()}."
            self.message_user(request, words, messages.WARNING)
            return HttpResponseRedirect(_page_of(assistant))
        return self._confirmed(request, DECISION_ACTS[name], asked)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Deployments have no delete of their own in the admin, and go with their assistant all the same."""
        listed, counts, needed, kept = super().get_deleted_objects(objs, request)
        return listed, counts, needed - {Deployment._meta.verbose_name}, kept

    # ------------------------------------------------------------------------------------- helpers

    def _deployed(self, request: HttpRequest, object_id: str) -> Assistant:
        """:raises Http404: unknown, or one that the person does not see."""
        assistant: Assistant | None = self.get_object(request, unquote(object_id))
        if assistant is None or not self.has_view_permission(request, assistant):
            raise Http404("no such assistant")
        return assistant

    def _confirmed(self, request: HttpRequest, act: Act, asked: Asked) -> HttpResponse:
        """Done, and back to all deployments; or the page on which it is asked for, with what is in the way."""
        is_sent = request.method == "POST"
        form = act.form(asked, request.POST if is_sent else None)
        checks: list[dict[str, Any]] = []
        if is_sent and form.is_valid():
            try:
                if "check" in request.POST and act is PLACE_ACTS["deploy"]:
                    checks = _checked(asked, form)
                else:
                    self.message_user(request, act.carry_out(asked, form), messages.SUCCESS)
                    return HttpResponseRedirect(_page_of(asked.assistant))
            except ApiError as error:
                self._refused(act, asked, error)
                checks = error.details.get("checks", [])
                form.refuse(_shortened(error) if checks else error)
        context = {
            "title": capfirst(fill(act.title, asked)),
            "note": fill(act.note, asked),
            "form": form,
            "button": act.confirm or fill(act.button, asked).removesuffix(" …"),
            "why": why_not(act, asked),
            "checks": findings(checks),
            "is_checkable": act is PLACE_ACTS["deploy"],
        }
        return self._deployments_page(request, asked.assistant, "admin/assistants/deployment_act.html", context)

    def _refused(self, act: Act, asked: Asked, error: ApiError) -> None:
        """In the audit log, as it is where a program was refused."""
        kind = act.wish.partition(".")[0]
        subject = asked.deployment.pk if asked.deployment is not None else asked.assistant.pk
        subject = asked.environment.value if kind == "environment" else subject
        audit.refused(asked.principal, act.wish, kind, subject, error)

    def _deployments_page(
        self, request: HttpRequest, assistant: Assistant, template: str, context: dict[str, Any]
    ) -> TemplateResponse:
        common = {
            **self.admin_site.each_context(request),
            "assistant": assistant,
            "tabs": tabs(request, assistant, PAGE),
            "address": reverse("admin:assistants_assistant_change", args=[quote(assistant.pk)]),
            "deployments_address": _page_of(assistant),
        }
        return TemplateResponse(request, template, {**common, **context})


def _page_of(assistant: Assistant) -> str:
    return reverse(PAGE, args=[quote(assistant.pk)])


def _checked(asked: Asked, form: ActForm) -> list[dict[str, Any]]:
    """What the checks say of the chosen version; nothing is deployed.

    :raises ApiError: 404, no such version.
    """
    return deployments.validate(**asked.known, version=form.cleaned_data["version"] or None)[1]


def _shortened(error: ApiError) -> ApiError:
    """The checks stand below it: what each of them says needs not be said twice."""
    told = error.message.partition(". ")[0]
    return ApiError(f"{told}. The checks below say why, and what to do.", status=error.status, code=error.code)
