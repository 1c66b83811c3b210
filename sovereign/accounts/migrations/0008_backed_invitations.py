from django.db import migrations, models


class Migration(migrations.Migration):
    """Open invitations of the operator are made anew: which of those that nobody made are theirs was not kept."""

    dependencies = [
        ("accounts", "0007_invitations"),
    ]

    operations = [
        migrations.AddField(
            model_name="invitation",
            name="is_by_operator",
            field=models.BooleanField(default=False, editable=False),
        ),
    ]
