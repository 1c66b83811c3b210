from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from assistants.embeds.querysets import EmbedKeyQuerySet, VisitorQuerySet
from assistants.kinds import Environment
from sovereign.core.fields import CreatedAtField, id_field

LONGEST_MESSAGE = 32_000  # characters that a key can allow at most
MOST_MESSAGES = 100_000  # in an hour or a day that a key can allow at most


class EmbedKey(models.Model):
    """What lets pages of some origins show one assistant, as it is deployed in one environment.

    Its ``public_key`` stands in those pages for everybody to read: it is a name, and no secret. What visitors ask is
    counted to ``api_key``, an ordinary key that nobody has the secret of: its limits, its usage and its revocation
    are those of the embed.
    """

    id = id_field("emb_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    assistant = models.ForeignKey("assistants.Assistant", on_delete=models.CASCADE, related_name="embeds")
    environment = models.CharField(max_length=16, choices=Environment.choices, default=Environment.PRODUCTION)
    name = models.CharField(max_length=128)
    public_key = models.CharField(max_length=64, unique=True, editable=False)
    api_key = models.OneToOneField("accounts.ApiKey", on_delete=models.CASCADE, related_name="+", editable=False)
    origins = models.JSONField(default=list, help_text="The only sites that may show it, each as https://host[:port].")
    allows_anonymous = models.BooleanField(
        "without an account", default=False, help_text="Else the page only leads to the chat, where one logs in."
    )
    messages_per_hour = models.PositiveIntegerField(
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_MESSAGES)],
        help_text="Of one visitor.",
    )
    messages_per_day = models.PositiveIntegerField(
        default=1_000,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_MESSAGES)],
        help_text="Of all visitors together.",
    )
    longest_message = models.PositiveIntegerField(
        default=4_000, validators=[MinValueValidator(1), MaxValueValidator(LONGEST_MESSAGE)], help_text="Characters."
    )
    day_began_at = models.DateTimeField(null=True, editable=False)
    day_messages = models.PositiveIntegerField(default=0, editable=False)
    day_visitors = models.PositiveIntegerField(default=0, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", editable=False
    )
    created_at = CreatedAtField()
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = EmbedKeyQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.name


class Visitor(models.Model):
    """Somebody without an account, in one browser on one site. Of the token only a digest is kept."""

    id = id_field("vis_")
    embed = models.ForeignKey(EmbedKey, on_delete=models.CASCADE, related_name="visitors")
    digest = models.CharField(max_length=64, unique=True)
    hour_began_at = models.DateTimeField(null=True)
    hour_messages = models.PositiveIntegerField(default=0)
    created_at = CreatedAtField()
    last_seen_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    objects = VisitorQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.id
