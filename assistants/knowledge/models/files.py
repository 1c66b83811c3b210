"""What was uploaded. The bytes are in the storage under a random key; a name is only ever shown."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from assistants.knowledge.querysets import TenantQuerySet
from sovereign.core.fields import CreatedAtField, id_field, reference

FILENAME_LENGTH = 255
STORAGE_KEY_LENGTH = 128


class Purpose(models.TextChoices):
    """What a file is for. The last three are given to files that the service makes itself."""

    ASSISTANTS = "assistants"
    BATCH = "batch"
    FINE_TUNE = "fine-tune"
    VISION = "vision"
    USER_DATA = "user_data"
    EVALS = "evals"
    ASSISTANTS_OUTPUT = "assistants_output"
    BATCH_OUTPUT = "batch_output"
    FINE_TUNE_RESULTS = "fine-tune-results"


class File(models.Model):
    """A whole file: its row is made once its bytes are stored, and its bytes are removed once its row is gone."""

    class Status(models.TextChoices):
        UPLOADED = "uploaded"
        PROCESSED = "processed"
        ERROR = "error"

    id = id_field("file-")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="files")
    purpose = models.CharField(max_length=32, choices=Purpose.choices)
    filename = models.CharField(max_length=FILENAME_LENGTH)
    bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64, help_text="Of the content, in hexadecimal.")
    storage_key = models.CharField(max_length=STORAGE_KEY_LENGTH, unique=True, editable=False)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PROCESSED)
    status_details = models.CharField(max_length=512, blank=True, default="")
    created_at = CreatedAtField()
    expires_at = models.DateTimeField(null=True, blank=True)
    created_by_user = models.BigIntegerField(null=True, blank=True)
    created_by_key = reference()

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("project", "created_at", "id"), name="file_list"),
            models.Index(fields=("project", "purpose", "created_at", "id"), name="file_list_by_purpose"),
            models.Index(fields=("expires_at",), condition=Q(expires_at__isnull=False), name="file_expiring"),
        ]

    def __str__(self) -> str:
        return self.filename


class Upload(models.Model):
    """A file that comes in parts. It becomes a :class:`File` when it is completed within the hour."""

    class Status(models.TextChoices):
        PENDING = "pending"
        COMPLETED = "completed"
        CANCELLED = "cancelled"
        EXPIRED = "expired"

    id = id_field("upload_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=32, choices=Purpose.choices)
    filename = models.CharField(max_length=FILENAME_LENGTH)
    bytes = models.PositiveBigIntegerField(help_text="What the parts have to add up to.")
    mime_type = models.CharField(max_length=255)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    file = models.OneToOneField(File, on_delete=models.SET_NULL, null=True, blank=True, related_name="upload")
    file_expires_after = models.PositiveIntegerField(null=True, blank=True, help_text="Seconds after its creation.")
    created_at = CreatedAtField()
    expires_at = models.DateTimeField()
    created_by_user = models.BigIntegerField(null=True, blank=True)
    created_by_key = reference()

    objects = TenantQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=("expires_at",), condition=Q(status="pending"), name="upload_expiring")]

    def __str__(self) -> str:
        return self.id


class UploadPart(models.Model):
    """A part of an upload; the order is given when the upload is completed."""

    id = id_field("part_")
    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="parts")
    bytes = models.PositiveBigIntegerField()
    storage_key = models.CharField(max_length=STORAGE_KEY_LENGTH, unique=True, editable=False)
    created_at = CreatedAtField()

    def __str__(self) -> str:
        return self.id
