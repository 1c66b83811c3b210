"""How often assistants were used, by their runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db.models import Count

from runs.models import Run


def runs_of_assistants(project_id: str, since: datetime) -> Mapping[str, int]:
    """By the assistant's id, how many runs it had in a project since then, without those that only tried a version."""
    runs = Run.objects.filter(project_id=project_id, created_at__gte=since, assistant_id__isnull=False)
    runs = runs.of_people_and_applications().order_by()
    return dict(runs.values_list("assistant_id").annotate(Count("pk")))
