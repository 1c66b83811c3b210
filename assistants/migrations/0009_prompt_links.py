import django.db.models.deletion
from django.db import migrations, models

import sovereign.core.fields


class Migration(migrations.Migration):
    dependencies = [
        ("assistants", "0008_versions"),
        ("accounts", "0003_limits"),
        ("prompts", "0001_prompts"),
    ]

    operations = [
        migrations.CreateModel(
            name="PromptLink",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=sovereign.core.fields.IdDefault("link_"),
                        editable=False,
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("label", models.CharField(blank=True, default="", max_length=64)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("primary", "In place of the instructions"),
                            ("secondary", "After the instructions"),
                            ("fallback", "In place of the instructions where no primary one fits"),
                        ],
                        default="primary",
                        max_length=16,
                    ),
                ),
                ("priority", models.SmallIntegerField(default=0, help_text="The highest goes first.")),
                (
                    "weight",
                    models.PositiveSmallIntegerField(
                        blank=True, help_text="Its share, in per cent, among those of one kind and priority.", null=True
                    ),
                ),
                (
                    "conditions",
                    sovereign.core.fields.OrderedJSONField(
                        blank=True, default=dict, help_text="See assistants.prompting.conditions."
                    ),
                ),
                ("is_enabled", models.BooleanField(default=True)),
                ("created_at", sovereign.core.fields.CreatedAtField(editable=False)),
            ],
            options={
                "ordering": ("assistant", "kind", "-priority", "created_at", "id"),
            },
        ),
        migrations.AddField(
            model_name="promptlink",
            name="assistant",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="prompt_links",
                to="assistants.assistant",
            ),
        ),
        migrations.AddField(
            model_name="promptlink",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.project"
            ),
        ),
        migrations.AddField(
            model_name="promptlink",
            name="prompt",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.RESTRICT, related_name="links", to="prompts.prompt"
            ),
        ),
        migrations.AddField(
            model_name="promptlink",
            name="version",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.RESTRICT,
                related_name="+",
                to="prompts.promptversion",
            ),
        ),
        migrations.AddIndex(
            model_name="promptlink",
            index=models.Index(fields=["assistant", "created_at", "id"], name="prompt_link_list"),
        ),
        migrations.AddConstraint(
            model_name="promptlink",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["primary", "secondary", "fallback"])), name="prompt_link_kind"
            ),
        ),
        migrations.AddConstraint(
            model_name="promptlink",
            constraint=models.CheckConstraint(
                condition=models.Q(("weight", None), ("weight__lte", 100), _connector="OR"), name="prompt_link_weight"
            ),
        ),
        migrations.AddConstraint(
            model_name="promptlink",
            constraint=models.CheckConstraint(
                condition=models.Q(("version", None), ("label", ""), _connector="OR"),
                name="prompt_link_version_or_label",
            ),
        ),
    ]
