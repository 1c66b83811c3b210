"""What is under way, of each kind: read from the rows of the rooms, as far as the person sees them.

A kind is a line in ``KINDS``. Whoever may see its rows on the rooms' own pages sees them here, and nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.db.models import Count, Min, Sum
from django.http import Http404, HttpRequest
from django.urls import reverse

from assistants.knowledge.admin.wording import size
from assistants.knowledge.ingestion.reembedding import under_way
from assistants.knowledge.models import IngestionStatus, StoreFile, VectorStore
from assistants.knowledge.services import members
from assistants.models import Deployment
from inference import services as inference
from inference.admin.pulling import LABELS, words_of
from inference.engines.installation import installation
from inference.models import Engine, ModelPull
from runs.evaluations.models import EvaluationRun
from runs.evaluations.services import cancel_run
from sovereign.accounts.admin.base import is_superuser, page_of, principal_for, projects_allowing
from sovereign.accounts.scopes import EVALUATIONS_WRITE, STORES_WRITE
from sovereign.core.database import now
from threads.exports import services as exports
from threads.exports.models import Export

SHOWN = 50  # of a kind
DONE_SHOWN = 10
EXPORT_LABELS = {
    Export.Status.COMPLETED: "success",
    Export.Status.FAILED: "danger",
    Export.Status.CANCELLED: "default",
}
LOADING = (Engine.State.INSTALLING, Engine.State.LOADING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work. ``percent`` is ``None`` where nobody knows how much there is; ``words`` say how far it is."""

    id: str
    title: str
    address: str
    words: str
    state: str
    label: str  # the colour of its state, as the theme names it
    since: datetime | None
    percent: int | None = None
    project: str = ""
    may_cancel: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """What the work is called, what is under way of it, and how it is called off, where it can be."""

    title: str
    under_way: Callable[[HttpRequest], list[Job]]
    cancel: Callable[[HttpRequest, str], object] | None = None


def _seen(request: HttpRequest, model: type[Any]) -> Any:
    """The rows that the room's own page shows this person."""
    page: Any = admin.site._registry[model]
    return page.get_queryset(request) if page.has_view_permission(request) else model.objects.none()


def _one(request: HttpRequest, model: type[Any], pk: str) -> Any:
    """:raises Http404: there is none that the person sees."""
    row = _seen(request, model).filter(pk=pk).first()
    if row is None:
        raise Http404(f"no such {model._meta.verbose_name}")
    return row


# ------------------------------------------------------------------------------------- files


def reading(request: HttpRequest) -> list[Job]:
    """Stores with files that are being read."""
    waiting = StoreFile.objects.filter(
        status=IngestionStatus.IN_PROGRESS, store__in=_seen(request, VectorStore)
    ).order_by()
    counted = waiting.values("store_id").annotate(left=Count("id"), progressed=Sum("progress"), begun=Min("created_at"))
    found = {row["store_id"]: row for row in counted.order_by("begun")[:SHOWN]}
    stores = VectorStore.objects.select_related("project").in_bulk(list(found))
    tallies = StoreFile.objects.tallies("store_id", list(found))
    writable = projects_allowing(request, STORES_WRITE)
    jobs = []
    for store_id, row in found.items():
        if (store := stores.get(store_id)) is None:
            continue  # deleted since it was counted
        total = tallies[store_id].total
        done = total - row["left"]
        jobs.append(
            Job(
                id=store_id,
                title=str(store),
                address=page_of(store),
                words=f"{done:,} of {total:,} {'file is' if total == 1 else 'files are'} done",
                state="being read",
                label="info",
                since=row["begun"],
                percent=min(99, (done * 100 + row["progressed"]) // max(1, total)),
                project=store.project.name,
                may_cancel=writable is None or store.project_id in writable,
            )
        )
    return jobs


def stop_reading(request: HttpRequest, store_id: str) -> object:
    """:raises Http404: no store that the person sees."""
    store = _one(request, VectorStore, store_id)
    return members.cancel_reading(principal=principal_for(request, store.project_id), store_id=store_id)


def reembedding(request: HttpRequest) -> list[Job]:
    """Stores whose files get vectors of another model."""
    found = {row.store_id: row for row in under_way(_seen(request, VectorStore))[:SHOWN]}
    stores = VectorStore.objects.select_related("project").in_bulk(list(found))
    return [
        Job(
            id=store.pk,
            title=str(store),
            address=page_of(store),
            words=f"{row.done:,} of {row.total:,} files have vectors of {row.model}; the others are searched by those "
            "that they have",
            state="waiting for the model" if row.waiting == row.total - row.done else "getting other vectors",
            label="warning" if row.waiting == row.total - row.done else "info",
            since=None,
            percent=row.done * 100 // row.total,
            project=store.project.name,
        )
        for row in found.values()
        if (store := stores.get(row.store_id)) is not None
    ]


# ------------------------------------------------------------------------------------- conversations


def exporting(request: HttpRequest) -> list[Job]:
    """Conversations that the person wants to take along: nobody else sees that."""
    return [
        Job(
            id=export.pk,
            title=str(export),
            address="",
            words=f"{export.written:,} of {export.total:,} messages are written",
            state=export.get_status_display(),
            label="info" if export.status == Export.Status.IN_PROGRESS else "warning",
            since=export.created_at,
            percent=min(99, export.written * 100 // max(1, export.total)),
            project=export.project.name,
            may_cancel=True,
        )
        for export in _exports_of(request)
        if export.ended_at is None
    ]


def _exports_of(request: HttpRequest) -> list[Export]:
    """The person's newest; read once a request."""
    found: list[Export] | None = getattr(request, "_exports", None)
    if found is None:
        rows = Export.objects.filter(user_id=request.user.pk or 0).select_related("project").defer("thread_ids")
        found = list(rows.order_by("-created_at", "-id")[:DONE_SHOWN])
        request._exports = found  # type: ignore[attr-defined]
    return found


def stop_exporting(request: HttpRequest, export_id: str) -> object:
    """:raises ApiError: 404, no export of the person's."""
    return exports.cancel(user_id=request.user.pk or 0, export_id=export_id)


def _exported(request: HttpRequest) -> list[Job]:
    return [
        Job(
            id=export.pk,
            title=str(export),
            address=reverse("admin:threads_export_file", args=[export.pk]) if export.storage_key else "",
            words=f"{size(export.bytes)}, kept for {exports.KEPT.days} days" if export.storage_key else export.error,
            state=export.get_status_display(),
            label=EXPORT_LABELS[Export.Status(export.status)],
            since=export.ended_at,
            project=export.project.name,
        )
        for export in _exports_of(request)
        if export.ended_at is not None
    ]


# ------------------------------------------------------------------------------------- evaluations


def evaluating(request: HttpRequest) -> list[Job]:
    """Sets of cases that are run."""
    writable = projects_allowing(request, EVALUATIONS_WRITE)
    return [
        Job(
            id=run.pk,
            title=_evaluated(run),
            address=page_of(run),
            words=f"{_ended(run):,} of {run.total:,} cases are done, {run.passed:,} of them passed",
            state=run.get_status_display(),
            label="info" if run.status == EvaluationRun.Status.IN_PROGRESS else "warning",
            since=run.started_at or run.created_at,
            percent=_ended(run) * 100 // max(1, run.total),
            project=run.project.name,
            may_cancel=writable is None or run.project_id in writable,
        )
        for run in _seen(request, EvaluationRun).active().select_related("project").order_by("created_at", "id")[:SHOWN]
    ]


def _evaluated(run: EvaluationRun) -> str:
    return f"{run.set}: {run.assistant.name or run.assistant_id}, {run.version}"


def _ended(run: EvaluationRun) -> int:
    return run.passed + run.failed + run.errored


def stop_evaluating(request: HttpRequest, run_id: str) -> object:
    """:raises Http404: no run that the person sees."""
    run = _one(request, EvaluationRun, run_id)
    return cancel_run(principal=principal_for(request, run.project_id), run_id=run_id)


# ------------------------------------------------------------------------------------- deployments


def deploying(request: HttpRequest) -> list[Job]:
    """Versions that are tried before they go into service."""
    rows = _seen(request, Deployment).filter(status=Deployment.Status.VALIDATING)
    rows = rows.select_related("assistant", "version", "project").order_by("created_at", "id")[:SHOWN]
    return [
        Job(
            id=deployment.pk,
            title=f"{deployment.assistant.name or deployment.assistant_id}, {deployment.version} "
            f"to {deployment.get_environment_display()}",
            address=page_of(deployment),
            words=deployment.reason or "Its checks are made.",
            state=deployment.get_status_display(),
            label="info",
            since=deployment.created_at,
            project=deployment.project.name,
        )
        for deployment in rows
    ]


# ------------------------------------------------------------------------------------- models


def pulling(request: HttpRequest) -> list[Job]:
    """Models that providers fetch: for superusers, as the page of them."""
    if not is_superuser(request):
        return []
    rows = ModelPull.objects.active().select_related("provider").order_by("created_at", "id")[:SHOWN]
    return [
        Job(
            id=pull.pk,
            title=_fetched(pull),
            address=_pulls_address(pull),
            words=words_of(pull),
            state=pull.get_status_display(),
            label="info" if pull.status == ModelPull.Status.IN_PROGRESS else "warning",
            since=pull.started_at or pull.created_at,
            percent=pull.percent,
            may_cancel=True,
        )
        for pull in rows
    ]


def stop_pulling(request: HttpRequest, pull_id: str) -> object:
    """:raises Http404: no superuser, or no such pull."""
    if not is_superuser(request):
        raise Http404("no such pull")
    return inference.cancel_pull(pull_id=pull_id, user_id=request.user.pk)


def _fetched(pull: ModelPull) -> str:
    return f"{pull.model} into {pull.provider.name}"


def _pulls_address(pull: ModelPull) -> str:
    return reverse("admin:inference_provider_pull_model", args=[pull.provider_id])


def loading(request: HttpRequest) -> list[Job]:
    """Engines that start, and the installation of one."""
    instant = now()
    engines = Engine.objects.usable_by(None).filter(state__in=LOADING).select_related("provider")
    jobs = [
        Job(
            id=engine.pk,
            title=engine.name,
            address=page_of(engine),
            words=engine.reason or "Its first token is waited for.",
            state=engine.get_state_display(),
            label="info",
            since=engine.since,
        )
        for engine in engines[:SHOWN]
        if not engine.is_forgotten(instant)
    ]
    installing = installation()
    if installing is not None and installing["state"] == "installing":
        since = datetime.fromtimestamp(float(installing["since"]), UTC)
        words = str(installing["reason"])
        jobs.append(
            Job(id="", title="The engine", address="", words=words, state="installing", label="info", since=since)
        )
    return jobs


KINDS: dict[str, Kind] = {
    "files": Kind("Files that are being read", reading, stop_reading),
    "vectors": Kind("Stores that get vectors of another model", reembedding),
    "exports": Kind("Exports", exporting, stop_exporting),
    "evaluations": Kind("Evaluations", evaluating, stop_evaluating),
    "deployments": Kind("Deployments that are being tried", deploying),
    "pulls": Kind("Models that are being pulled", pulling, stop_pulling),
    "engines": Kind("Engines that start", loading),
}


def ended(request: HttpRequest) -> list[Job]:
    """What came to its end last, the newest first."""
    runs = _seen(request, EvaluationRun).exclude(ended_at=None).select_related("project")
    jobs = _exported(request)
    jobs += [
        Job(
            id=run.pk,
            title=_evaluated(run),
            address=page_of(run),
            words=f"{run.passed:,} of {run.total:,} cases passed",
            state=run.get_status_display(),
            label="success" if run.status == EvaluationRun.Status.COMPLETED else "default",
            since=run.ended_at,
            project=run.project.name,
        )
        for run in runs.order_by("-ended_at", "-id")[:DONE_SHOWN]
    ]
    pulls = ModelPull.objects.exclude(ended_at=None) if is_superuser(request) else ModelPull.objects.none()
    for pull in pulls.select_related("provider").order_by("-ended_at", "-id")[:DONE_SHOWN]:
        jobs.append(
            Job(
                id=pull.pk,
                title=_fetched(pull),
                address=_pulls_address(pull),
                words=pull.error,
                state=pull.get_status_display(),
                label=LABELS[ModelPull.Status(pull.status)],
                since=pull.ended_at,
            )
        )
    return sorted(jobs, key=lambda job: job.since or datetime.min.replace(tzinfo=UTC), reverse=True)[:DONE_SHOWN]
