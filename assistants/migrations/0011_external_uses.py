import django.db.models.deletion
from django.db import migrations, models

import sovereign.core.fields


class Migration(migrations.Migration):
    dependencies = [
        ("assistants", "0010_deployments"),
        ("accounts", "0003_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="ExternalUse",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=sovereign.core.fields.IdDefault("use_"),
                        editable=False,
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("count", models.PositiveIntegerField(default=1)),
                ("source", models.CharField(blank=True, default="", max_length=64)),
                ("told_by_user", models.BigIntegerField(blank=True, null=True)),
                ("told_by_key", models.CharField(blank=True, default=None, max_length=64, null=True)),
                ("created_at", sovereign.core.fields.CreatedAtField(editable=False)),
            ],
            options={
                "ordering": ("-created_at", "-id"),
            },
        ),
        migrations.AddField(
            model_name="externaluse",
            name="assistant",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="external_uses",
                to="assistants.assistant",
            ),
        ),
        migrations.AddField(
            model_name="externaluse",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.project"
            ),
        ),
        migrations.AddIndex(
            model_name="externaluse",
            index=models.Index(fields=["project", "created_at", "assistant"], name="external_use_lately"),
        ),
    ]
