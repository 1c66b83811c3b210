from __future__ import annotations

from django.conf import settings
from django.db import models

from sovereign.core.fields import CreatedAtField, id_field
from threads.links.querysets import SharedLinkQuerySet
from threads.models import TITLE_LENGTH


class SharedLink(models.Model):
    """What opens a thread to whoever has its address, as far as it had come when the link was made.

    Of the address only a digest is kept. The owner has to see it again, though, to send it to one more: so it is no
    chance, but what the server's secret key makes of this row's id (see :mod:`threads.links.secrets`). A copy of the
    database opens nothing without that key; and where the key was changed, links go on and only cannot be shown again.
    """

    id = id_field("share_")
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    thread = models.ForeignKey("threads.Thread", on_delete=models.CASCADE, related_name="links")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of what the address ends with.")
    title = models.CharField(max_length=TITLE_LENGTH, blank=True, default="", help_text="The thread's, as it was.")
    up_to = models.PositiveIntegerField(help_text="The position of the last message that it shows.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = CreatedAtField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True, help_text="To the minute.")

    objects = SharedLinkQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.id
