import django.conf
from django.db import migrations, models


def _id(help_text: str) -> models.CharField:
    return models.CharField(blank=True, default=None, help_text=help_text, max_length=64, null=True)


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(django.conf.settings.AUTH_USER_MODEL),
        ("threads", "0007_copied_messages"),
    ]

    operations = [
        migrations.AddField("thread", "pinned_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("thread", "archived_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField(
            "thread",
            "trashed_at",
            models.DateTimeField(blank=True, help_text="Since then it is nobody's; see threads.keeping.", null=True),
        ),
        migrations.AddField(
            "thread", "branched_from", _id("The thread whose beginning it goes on from; see threads.branches.")
        ),
        migrations.AddField(
            "thread", "branched_at", _id("The message in whose place it goes on, of the first thread that has it.")
        ),
        migrations.AddField(
            "thread",
            "branched_after",
            models.PositiveIntegerField(
                blank=True, help_text="The position of the last message that it has from there.", null=True
            ),
        ),
        migrations.AddField("thread", "family", _id("The thread with which its family of branches began.")),
        migrations.AddField(
            "thread", "compared_with", _id("The thread in which another assistant was asked the same.")
        ),
        migrations.AddIndex(
            "thread",
            models.Index(
                condition=models.Q(("pinned_at__isnull", False)), fields=["project", "owner"], name="thread_pinned"
            ),
        ),
        migrations.AddIndex(
            "thread",
            models.Index(
                condition=models.Q(("trashed_at__isnull", False)), fields=["trashed_at"], name="thread_trashed"
            ),
        ),
        migrations.AddIndex(
            "thread",
            models.Index(condition=models.Q(("family__isnull", False)), fields=["family"], name="thread_family"),
        ),
    ]
