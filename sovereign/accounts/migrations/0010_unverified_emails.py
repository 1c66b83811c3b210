from __future__ import annotations

from typing import Any

from django.db import migrations, models
from django.db.models import F


def mark(apps: Any, _schema_editor: Any) -> None:
    """Who made their account by an invitation has the address that it was sent to."""
    accepted = apps.get_model("accounts", "Invitation").objects.filter(accepted_by__date_joined__gte=F("created_at"))
    for user_id, email in accepted.values_list("accepted_by_id", "email").iterator():
        invited = apps.get_model("accounts", "User").objects.filter(pk=user_id, email__iexact=email)
        invited.update(has_unverified_email=True)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_projects_allow_shared_links"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="has_unverified_email",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.RunPython(mark, migrations.RunPython.noop),
    ]
