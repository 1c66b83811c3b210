"""How often assistants were used, by their runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from runs.models import Run

MOST = 100_000  # runs of a project that are counted, the newest: what was popular before them is not so any more


def runs_of_assistants(project_id: str, since: datetime) -> Mapping[str, int]:
    """By the assistant's id, how many runs it had in a project since then, without those that only tried a version."""
    runs = Run.objects.filter(project_id=project_id, created_at__gte=since, assistant_id__isnull=False)
    newest = runs.of_people_and_applications().order_by("-created_at", "-id")[:MOST]
    return Counter(newest.values_list("assistant_id", flat=True).iterator())
