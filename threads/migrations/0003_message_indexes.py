import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """A cursor whose message was deleted, and the messages of one run, are found without reading the whole thread."""

    dependencies = [("threads", "0002_keep_json_order")]

    operations = [
        migrations.AlterField(
            model_name="message",
            name="run_id",
            field=models.CharField(blank=True, default=None, max_length=64, null=True),
        ),
        migrations.AlterField(
            model_name="message",
            name="thread",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="messages",
                to="threads.thread",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["thread", "created_at", "id"], name="message_creation"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=Q(run_id__isnull=False), fields=["thread", "run_id", "position"], name="message_run"
            ),
        ),
    ]
