"""What can come of a call of a tool that is carried out here."""

from __future__ import annotations

from django.db import models


class Outcome(models.TextChoices):
    OK = "ok", "Done"
    ERROR = "error", "Failed"
    RAISED = "raised", "Raised an error"  # code that was run to its end, and that was an exception
    TIMEOUT = "timeout", "Took too long"
    REFUSED = "refused", "Refused by a person"
    INTERRUPTED = "interrupted", "Its worker stopped"
    REPEATED = "repeated", "Not made: the same call again"
    CANCELLED = "cancelled", "Ended with its run"
    SPENT = "spent", "Not made: the time for such calls is used up"
