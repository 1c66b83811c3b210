"""How many runs are taken before one that waits."""

from __future__ import annotations

from django.db.models import Q

from inference import gateway
from runs.models import Run
from runs.states import Status

COUNTED = 999  # runs before it: of more, nobody needs the number


def place_of(run: Run) -> int | None:
    """Its place among the runs that wait for the same model, from 1; ``None`` where it waits no longer.

    Of the runs of its own project the more urgent ones go before it, of others only the older ones, as
    ``services.leases`` takes them. Whether a project has places left is not asked: then the run says so itself.
    """
    if run.status != Status.QUEUED:
        return None
    older = Q(created_at__lt=run.created_at) | Q(created_at=run.created_at, pk__lt=run.pk)
    own = Q(project_id=run.project_id) & (Q(priority__gt=run.priority) | (Q(priority=run.priority) & older))
    waiting = Run.objects.filter(status=Status.QUEUED).filter(own | (older & ~Q(project_id=run.project_id)))
    found = waiting.filter(model__in=_alike(run))
    return found.order_by()[:COUNTED].count() + 1


def _alike(run: Run) -> list[str]:
    """The names among those that are waited for that mean the run's model."""
    names = set(Run.objects.filter(status=Status.QUEUED).order_by().values_list("model", flat=True).distinct())
    meanings = gateway.meanings({*names, run.model}, project_id=run.project_id)
    return [name for name, model in meanings.items() if name == run.model or (model and model == meanings[run.model])]
