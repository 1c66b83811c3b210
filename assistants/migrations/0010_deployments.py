import django.db.models.deletion
from django.db import migrations, models

import sovereign.core.fields


class Migration(migrations.Migration):
    dependencies = [
        ("assistants", "0009_prompt_links"),
        ("accounts", "0003_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="Deployment",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=sovereign.core.fields.IdDefault("dep_"),
                        editable=False,
                        max_length=64,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "environment",
                    models.CharField(
                        choices=[
                            ("development", "Development"),
                            ("testing", "Testing"),
                            ("staging", "Staging"),
                            ("production", "Production"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("scheduled", "Waits for its time"),
                            ("awaiting_approval", "Waits for somebody else's approval"),
                            ("validating", "Is being tried"),
                            ("active", "In service"),
                            ("canary", "In service for a part of the threads"),
                            ("superseded", "Another one took its place"),
                            ("rolled_back", "Taken back"),
                            ("failed", "Was not ready"),
                            ("cancelled", "Called off"),
                            ("retired", "Taken out of service"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "percent",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        help_text="Of the threads, where it is a canary.",
                        max_digits=5,
                        null=True,
                    ),
                ),
                (
                    "thresholds",
                    sovereign.core.fields.OrderedJSONField(
                        blank=True, default=dict, help_text="See assistants.deployments.canaries."
                    ),
                ),
                (
                    "checks",
                    sovereign.core.fields.OrderedJSONField(
                        blank=True, default=list, help_text="What was checked, and what was found."
                    ),
                ),
                ("smoke_run_id", models.CharField(blank=True, default=None, max_length=64, null=True)),
                ("notes", models.CharField(blank=True, default="", max_length=2000)),
                (
                    "replaces",
                    models.CharField(
                        blank=True,
                        default=None,
                        help_text="The deployment that was active when this one became it.",
                        max_length=64,
                        null=True,
                    ),
                ),
                (
                    "promoted_from",
                    models.CharField(
                        blank=True,
                        default=None,
                        help_text="The deployment of the environment before, whose version this is.",
                        max_length=64,
                        null=True,
                    ),
                ),
                ("asked_by_user", models.BigIntegerField(blank=True, null=True)),
                ("asked_by_key", models.CharField(blank=True, default=None, max_length=64, null=True)),
                ("approved_by_user", models.BigIntegerField(blank=True, null=True)),
                ("approved_at", models.DateTimeField(blank=True, null=True)),
                ("scheduled_at", models.DateTimeField(blank=True, null=True)),
                ("activated_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_by_user", models.BigIntegerField(blank=True, null=True)),
                ("ended_by_key", models.CharField(blank=True, default=None, max_length=64, null=True)),
                (
                    "reason",
                    models.CharField(blank=True, default="", help_text="Why it ended, or waits.", max_length=500),
                ),
                ("created_at", sovereign.core.fields.CreatedAtField(editable=False)),
            ],
            options={
                "ordering": ("-created_at", "-id"),
            },
        ),
        migrations.CreateModel(
            name="EnvironmentPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "environment",
                    models.CharField(
                        choices=[
                            ("development", "Development"),
                            ("testing", "Testing"),
                            ("staging", "Staging"),
                            ("production", "Production"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "four_eyes",
                    models.BooleanField(default=False, help_text="Somebody else than who asked for it has to approve."),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Scale",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "environment",
                    models.CharField(
                        choices=[
                            ("development", "Development"),
                            ("testing", "Testing"),
                            ("staging", "Staging"),
                            ("production", "Production"),
                        ],
                        max_length=16,
                    ),
                ),
                ("worker_slots", models.PositiveSmallIntegerField(blank=True, help_text="Runs at once.", null=True)),
                ("priority", models.SmallIntegerField(default=0, help_text="Runs of a higher one are taken first.")),
                (
                    "tokens_per_day",
                    models.PositiveBigIntegerField(blank=True, help_text="After which its runs wait.", null=True),
                ),
            ],
        ),
        migrations.AddField(
            model_name="deployment",
            name="assistant",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deployments",
                to="assistants.assistant",
            ),
        ),
        migrations.AddField(
            model_name="deployment",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.project"
            ),
        ),
        migrations.AddField(
            model_name="deployment",
            name="version",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deployments",
                to="assistants.assistantversion",
            ),
        ),
        migrations.AddField(
            model_name="environmentpolicy",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.project"
            ),
        ),
        migrations.AddField(
            model_name="scale",
            name="assistant",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="scales",
                to="assistants.assistant",
            ),
        ),
        migrations.AddField(
            model_name="scale",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.project"
            ),
        ),
        migrations.AddIndex(
            model_name="deployment",
            index=models.Index(fields=["assistant", "created_at", "id"], name="deployment_list"),
        ),
        migrations.AddIndex(
            model_name="deployment",
            index=models.Index(
                condition=models.Q(("status__in", ["scheduled", "validating", "canary"])),
                fields=["status", "created_at"],
                name="deployment_pending",
            ),
        ),
        migrations.AddConstraint(
            model_name="deployment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "active")),
                fields=("assistant", "environment"),
                name="deployment_one_active",
            ),
        ),
        migrations.AddConstraint(
            model_name="deployment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "canary")),
                fields=("assistant", "environment"),
                name="deployment_one_canary",
            ),
        ),
        migrations.AddConstraint(
            model_name="deployment",
            constraint=models.CheckConstraint(
                condition=models.Q(("environment__in", ["development", "testing", "staging", "production"])),
                name="deployment_environment",
            ),
        ),
        migrations.AddConstraint(
            model_name="deployment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("percent", None), models.Q(("percent__gt", 0), ("percent__lt", 100)), _connector="OR"
                ),
                name="deployment_percent",
            ),
        ),
        migrations.AddConstraint(
            model_name="environmentpolicy",
            constraint=models.UniqueConstraint(fields=("project", "environment"), name="environment_policy_once"),
        ),
        migrations.AddConstraint(
            model_name="scale",
            constraint=models.UniqueConstraint(fields=("assistant", "environment"), name="scale_once"),
        ),
    ]
