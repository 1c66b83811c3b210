"""What the pages of evaluations have in common."""

from __future__ import annotations

from django.http import HttpRequest

from runs.evaluations.models import EvaluationSet
from sovereign.accounts.admin.base import ProjectAdmin, projects_allowing
from sovereign.accounts.scopes import ASSISTANTS_PROMOTE, EVALUATIONS_READ, EVALUATIONS_WRITE


def may_change_cases(request: HttpRequest, owner: EvaluationSet) -> bool:
    """Whether the person may change the cases of a set, as far as its gates are concerned: see the service."""
    promoting = projects_allowing(request, ASSISTANTS_PROMOTE)
    return not owner.gates or promoting is None or owner.project_id in promoting


class EvaluationPages(ProjectAdmin):
    """Who may see them, and who may change them."""

    view_scope = EVALUATIONS_READ
    change_scope = EVALUATIONS_WRITE
