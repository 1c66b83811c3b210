from django.db import migrations, models

import assistants.kinds


class Migration(migrations.Migration):
    dependencies = [
        ("assistants", "0006_tools"),
    ]

    operations = [
        migrations.AddField(
            model_name="assistant",
            name="based_on",
            field=models.CharField(
                blank=True,
                default=None,
                help_text="The version that the draft came from: the last published or restored one.",
                max_length=64,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="assistant",
            name="capabilities",
            field=models.JSONField(blank=True, default=assistants.kinds.every_capability),
        ),
        migrations.AddField(
            model_name="assistant",
            name="context_memory_size",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="The newest messages of a thread that the model sees; empty: all that fit.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="assistant",
            name="created_by_key",
            field=models.CharField(blank=True, default=None, max_length=64, null=True),
        ),
        migrations.AddField(
            model_name="assistant",
            name="created_by_user",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="assistant",
            name="default_max_tokens",
            field=models.PositiveIntegerField(
                blank=True, help_text="Tokens that a run may generate, where it does not say itself.", null=True
            ),
        ),
        migrations.AddField(
            model_name="assistant",
            name="parent_id",
            field=models.CharField(
                blank=True, default=None, help_text="The assistant that it was cloned from.", max_length=64, null=True
            ),
        ),
        migrations.AddField(
            model_name="assistant",
            name="parent_version_id",
            field=models.CharField(
                blank=True,
                default=None,
                help_text="The version of that one, where it was a version.",
                max_length=64,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="assistant",
            name="personality",
            field=models.TextField(
                blank=True, default="", help_text="How it speaks: follows its instructions.", max_length=4000
            ),
        ),
        migrations.AddField(
            model_name="assistant",
            name="status",
            field=models.CharField(
                choices=[
                    ("draft", "Draft"),
                    ("active", "Active"),
                    ("inactive", "Inactive: answers nobody"),
                    ("archived", "Archived: kept, and neither offered nor changed"),
                ],
                default="draft",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="assistant",
            name="tags",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="assistant",
            name="type",
            field=models.CharField(
                choices=[
                    ("general", "General"),
                    ("specialized", "Specialized"),
                    ("conversational", "Conversational"),
                    ("task_oriented", "Task-oriented"),
                    ("analytical", "Analytical"),
                    ("creative", "Creative"),
                    ("support", "Support"),
                    ("educational", "Educational"),
                ],
                default="general",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="assistant",
            name="visibility",
            field=models.CharField(
                choices=[
                    ("project", "Every member and key of the project"),
                    ("private", "Who made it, and administrators"),
                ],
                default="project",
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="assistant",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["draft", "active", "inactive", "archived"])), name="assistant_status"
            ),
        ),
        migrations.AddConstraint(
            model_name="assistant",
            constraint=models.CheckConstraint(
                condition=models.Q(("visibility__in", ["project", "private"])), name="assistant_visibility"
            ),
        ),
    ]
