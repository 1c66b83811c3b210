import django.db.models.deletion
from django.db import migrations, models

import sovereign.core.fields


class Migration(migrations.Migration):
    dependencies = [
        ("assistants", "0007_life"),
        ("accounts", "0003_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="AssistantVersion",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=sovereign.core.fields.IdDefault("asstv_"),
                        editable=False,
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.PositiveIntegerField(help_text="1, 2, 3 … of its assistant.")),
                ("content", sovereign.core.fields.OrderedJSONField(help_text="See assistants.snapshots.")),
                ("digest", models.CharField(help_text="SHA-256 of the content, in hexadecimal.", max_length=64)),
                ("notes", models.CharField(blank=True, default="", max_length=2000)),
                ("published_by_user", models.BigIntegerField(blank=True, null=True)),
                ("published_by_key", models.CharField(blank=True, default=None, max_length=64, null=True)),
                ("created_at", sovereign.core.fields.CreatedAtField(editable=False)),
            ],
            options={
                "ordering": ("assistant", "-number"),
            },
        ),
        migrations.AddField(
            model_name="assistantversion",
            name="assistant",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="versions",
                to="assistants.assistant",
            ),
        ),
        migrations.AddField(
            model_name="assistantversion",
            name="parent",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="children",
                to="assistants.assistantversion",
            ),
        ),
        migrations.AddField(
            model_name="assistantversion",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.project"
            ),
        ),
        migrations.AddConstraint(
            model_name="assistantversion",
            constraint=models.UniqueConstraint(fields=("assistant", "number"), name="assistant_version_number"),
        ),
    ]
