"""Vector stores, and the files in them with the state of their ingestion."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q

from assistants.knowledge.models.files import File
from assistants.knowledge.querysets import StoreFileQuerySet, TenantQuerySet
from sovereign.core.fields import CreatedAtField, OrderedJSONField, id_field, reference

NAME_LENGTH = 256
DESCRIPTION_LENGTH = 512
DEFAULT_CHUNK_TOKENS = 800
DEFAULT_OVERLAP_TOKENS = 400


class IngestionStatus(models.TextChoices):
    """The states of a file in a store; only ``in_progress`` is followed by another."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class VectorStore(models.Model):
    """A set of files that is searched as one. Counts are never stored: they are those of its files' rows."""

    id = id_field("vs_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="vector_stores")
    name = models.CharField(max_length=NAME_LENGTH, null=True, blank=True)  # noqa: DJ001  (null is the contract's)
    description = models.CharField(max_length=DESCRIPTION_LENGTH, null=True, blank=True)  # noqa: DJ001
    metadata = OrderedJSONField(default=dict, blank=True)
    expires_after_days = models.PositiveSmallIntegerField(null=True, blank=True)
    is_for_thread = models.BooleanField(
        default=False, editable=False, help_text="Made for a thread: who may write the thread may fill it."
    )
    last_active_at = models.DateTimeField()
    created_at = CreatedAtField()

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("project", "created_at", "id"), name="store_list"),
            models.Index(fields=("last_active_at",), condition=Q(is_for_thread=True), name="store_of_thread"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_after_days__isnull=True)
                | Q(expires_after_days__gte=1, expires_after_days__lte=365),
                name="store_expires_after",
            )
        ]

    def __str__(self) -> str:
        return self.name or self.id

    @property
    def expires_at(self) -> datetime | None:
        """When nobody will be able to search it any more; every use moves it."""
        if self.expires_after_days is None:
            return None
        return self.last_active_at + timedelta(days=self.expires_after_days)


class FileBatch(models.Model):
    """Files that were added to a store at once. Its counts and state are those of its files."""

    id = id_field("vsfb_")
    store = models.ForeignKey(VectorStore, on_delete=models.CASCADE, related_name="batches")
    created_at = CreatedAtField()

    def __str__(self) -> str:
        return self.id


class StoreFile(models.Model):
    """A file in a store. The API knows it by the file's id.

    The lease columns are those of the worker that ingests it (``ingestion.leases``), as a run has them.
    """

    store = models.ForeignKey(VectorStore, on_delete=models.CASCADE, related_name="files")
    file = models.ForeignKey(File, on_delete=models.CASCADE, related_name="memberships")
    batch = models.ForeignKey(FileBatch, on_delete=models.SET_NULL, null=True, blank=True, related_name="files")
    status = models.CharField(max_length=16, choices=IngestionStatus.choices, default=IngestionStatus.IN_PROGRESS)
    error_code = models.CharField(max_length=32, blank=True, default="")
    error_message = models.CharField(max_length=512, blank=True, default="")
    attributes = OrderedJSONField(default=dict, blank=True)
    chunk_tokens = models.PositiveSmallIntegerField(default=DEFAULT_CHUNK_TOKENS)
    overlap_tokens = models.PositiveSmallIntegerField(default=DEFAULT_OVERLAP_TOKENS)
    usage_bytes = models.PositiveBigIntegerField(default=0, help_text="What its chunks and their vectors take.")
    progress = models.PositiveSmallIntegerField(default=0, help_text="Of its ingestion, in percent.")
    space = models.CharField(max_length=300, blank=True, default="", help_text="The embedding model of its vectors.")
    note = models.CharField(max_length=512, blank=True, default="", help_text="What is to be known about its search.")
    created_at = models.DateTimeField(editable=False)

    lease_owner = reference()
    lease_epoch = models.PositiveIntegerField(default=0, help_text="Raised by every claim: a fence for late writers.")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    crash_count = models.PositiveSmallIntegerField(default=0, help_text="Workers that died holding it.")
    retry_count = models.PositiveSmallIntegerField(default=0, help_text="Attempts that ended with a passing error.")
    available_at = models.DateTimeField(null=True, blank=True, help_text="Not to be tried again before.")

    objects = StoreFileQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-file_id")
        indexes = [
            models.Index(fields=("store", "created_at", "file"), name="store_file_list"),
            models.Index(fields=("store", "status"), name="store_file_counts"),
            models.Index(fields=("batch", "status"), name="batch_file_counts"),
            models.Index(fields=("created_at", "id"), condition=Q(status="in_progress"), name="store_file_waiting"),
        ]
        constraints = [
            models.UniqueConstraint(fields=("store", "file"), name="store_file_once"),
            models.CheckConstraint(
                condition=Q(status__in=["in_progress", "completed", "cancelled", "failed"]), name="store_file_status"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.file_id} in {self.store_id}"


class FormerPlace(models.Model):
    """Where a file stood in a store that it was taken out of: who pages and deletes in one loop goes on from there.

    It has the columns that a store's files are ordered by. The file itself may be gone, too.
    """

    store = models.ForeignKey(VectorStore, on_delete=models.CASCADE, related_name="former_places", db_index=False)
    file_id = models.CharField(max_length=64)
    created_at = models.DateTimeField(editable=False)
    left_at = models.DateTimeField(editable=False, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("store", "file_id"), name="former_place_once")]

    def __str__(self) -> str:
        return f"{self.file_id}, formerly in {self.store_id}"
