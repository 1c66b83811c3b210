"""People, projects (the tenants), their keys, and what was done by whom."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone

from sovereign.accounts.querysets import (
    ApiKeyQuerySet,
    AuditEventQuerySet,
    IdempotencyQuerySet,
    InvitationQuerySet,
    LimitQuerySet,
    MembershipQuerySet,
    ProjectQuerySet,
    RetiredSecretQuerySet,
)
from sovereign.accounts.scopes import Role
from sovereign.accounts.tokens import PREFIX
from sovereign.core.fields import id_field, reference

DIGEST_LENGTH = 64  # hex characters of a SHA-256


class User(AbstractUser):
    """A person. What they may do is in their memberships; ``is_staff`` follows from those (services)."""

    has_unverified_email = models.BooleanField(default=False, editable=False)  # an invitation said it, nobody checked
    language = models.CharField(max_length=8, blank=True, default="")  # "": what their browser asks for
    time_zone = models.CharField(max_length=64, blank=True, default="")  # "": what their browser tells


class Project(models.Model):
    """The tenant: every row of the product belongs to one project."""

    id = id_field("proj_")
    name = models.CharField(max_length=128)
    allows_shared_links = models.BooleanField(
        "conversations may be shared by links",
        default=True,
        help_text="Whoever has such a link reads the conversation without a login. Turned off, none is made, and those "
        "that there are open nothing.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ("created_at", "id")

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's role in a project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ("created_at", "id")
        constraints = [
            models.UniqueConstraint(fields=("project", "user"), name="accounts_membership_once"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="accounts_membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class Invitation(models.Model):
    """A link that lets one person into a project. Its secret was shown once and is not here."""

    id = id_field("inv_")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("email address", help_text="Whom it is for. Where mail is set up, the link goes there.")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    digest = models.CharField(max_length=DIGEST_LENGTH, unique=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    is_by_operator = models.BooleanField(default=False, editable=False)  # else it is good while its maker may invite
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [models.CheckConstraint(condition=Q(role__in=Role.values), name="accounts_invitation_role_known")]
        indexes = [models.Index(fields=("project", "-created_at", "-id"), name="accounts_invitation_by_project")]

    def __str__(self) -> str:
        return f"{self.email} ({self.get_role_display()})"

    @property
    def state(self) -> str:
        if self.accepted_at is not None:
            return "accepted"
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= timezone.now() else "open"


class ApiKey(models.Model):
    """A key of a project. Its secret was shown once and is not here: see ``sovereign.accounts.tokens``."""

    id = id_field("key_")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="api_keys")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    name = models.CharField(max_length=128)
    lookup = models.CharField(max_length=8, unique=True, editable=False)
    digest = models.CharField(max_length=DIGEST_LENGTH, editable=False)
    scopes = models.JSONField(default=list)
    environment = reference()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)  # exact to a minute
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)  # when it got its present secret
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ("created_at", "id")
        verbose_name = "API key"
        indexes = [models.Index(fields=("project", "created_at", "id"), name="accounts_key_by_project")]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint})"

    @property
    def hint(self) -> str:
        """What may be shown of the key for ever."""
        return f"{PREFIX}{self.lookup}-…"

    @property
    def state(self) -> str:
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= timezone.now():
            return "expired"
        return "active"


class RetiredSecret(models.Model):
    """A secret that a key had before its present one: taken until ``valid_until``, and known as replaced after it."""

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="retired_secrets")
    lookup = models.CharField(max_length=8, unique=True)
    digest = models.CharField(max_length=DIGEST_LENGTH)
    retired_at = models.DateTimeField()
    valid_until = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)  # exact to a minute

    objects = RetiredSecretQuerySet.as_manager()

    class Meta:
        ordering = ("-retired_at", "-id")

    def __str__(self) -> str:
        return self.hint

    @property
    def hint(self) -> str:
        """What may be shown of it for ever."""
        return f"{PREFIX}{self.lookup}-…"


class AuditEvent(models.Model):
    """Something that was changed or looked at. People and keys are plain ids: the log outlives them."""

    project = models.ForeignKey(Project, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    user_id = models.BigIntegerField(null=True, blank=True)
    key_id = reference()
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=64)
    details = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    request_id = reference()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = [
            models.Index(fields=("project", "-created_at", "-id"), name="accounts_audit_by_project"),
            models.Index(fields=("object_type", "object_id"), name="accounts_audit_by_object"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_id}"


class WebSocketTicket(models.Model):
    """A one-use ticket that opens a WebSocket as the principal who asked for it, frozen with its rights."""

    digest = models.CharField(max_length=DIGEST_LENGTH, unique=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    user_id = models.BigIntegerField(null=True)
    key_id = reference()
    secret = reference()  # its visible part
    role = reference()
    scopes = models.JSONField(default=list)
    environment = reference()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"ticket {self.pk}"


class IdempotencyRecord(models.Model):
    """What a ``POST`` was answered with, for those who send it again because they did not get the answer.

    Keys are kept as digests. A stream is not kept: the run's log has it, from ``cursor`` on.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    key_digest = models.CharField(max_length=DIGEST_LENGTH, null=True, default=None)  # noqa: DJ001 (no key: no digest)
    fingerprint = models.CharField(max_length=DIGEST_LENGTH)  # of who asked, the address and the body
    route = models.CharField(max_length=200)  # the beginning of the address, for people
    retries = models.PositiveIntegerField(default=0)  # the highest retry count that was answered with it
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")  # JSON, compressed by zlib
    stream_of = reference()
    cursor = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField()

    objects = IdempotencyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=("key_digest",), condition=Q(key_digest__isnull=False), name="accounts_idempotency_key_once"
            )
        ]
        indexes = [
            models.Index(fields=("fingerprint",), condition=Q(key_digest=None), name="accounts_idempotency_retry"),
            models.Index(fields=("expires_at",), name="accounts_idempotency_expiry"),
        ]

    def __str__(self) -> str:
        return f"POST {self.route}"


class Limit(models.Model):
    """How much a project, or one of its keys, may use. A column that is null limits nothing."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="limits", db_index=False)
    key = models.OneToOneField(
        ApiKey, on_delete=models.CASCADE, related_name="limit", null=True, blank=True, verbose_name="API key"
    )  # null: of the whole project
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_day = models.PositiveBigIntegerField(null=True, blank=True)
    concurrent_calls = models.PositiveIntegerField("concurrent model calls", null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = LimitQuerySet.as_manager()

    class Meta:
        ordering = ("created_at", "id")
        constraints = [
            models.UniqueConstraint(fields=("project",), condition=Q(key=None), name="accounts_limit_of_project_once")
        ]
        indexes = [models.Index(fields=("project", "created_at", "id"), name="accounts_limit_by_project")]

    def __str__(self) -> str:
        return f"limits of {self.key or self.project}"


class Consumption(models.Model):
    """What somebody whose use is limited used lately: a project, a key, or a provider that others are called at.

    The row is the lock of its numbers (``services.quotas``). They age by themselves, and nobody's data is in them.
    """

    subject = models.CharField(max_length=96, primary_key=True)  # "project:proj_…"
    windows = models.JSONField(default=dict)  # metric: [[slot of time, amount], …]
    calls = models.JSONField(default=dict)  # model calls in flight: when each one's lease ends, in unix seconds

    def __str__(self) -> str:
        return self.subject


class SavedFilter(models.Model):
    """What a person keeps of one of the admin's lists under a name: filters, words that are looked for, the order.

    A row is its person's alone, and nothing of a project is in it.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False)
    page = models.CharField(max_length=100, help_text='The list: "threads_thread".')
    name = models.CharField(max_length=80)
    query = models.CharField(max_length=2_000, help_text="As it stands in the address.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name", "id")
        constraints = [models.UniqueConstraint(fields=("user", "page", "name"), name="accounts_saved_filter_once")]

    def __str__(self) -> str:
        return self.name
