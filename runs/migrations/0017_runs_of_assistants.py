from django.db import migrations, models


class Migration(migrations.Migration):
    """An assistant's newest runs are read off an index, which also finds all of them."""

    dependencies = [("runs", "0016_replays")]

    operations = [
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["assistant_id", "created_at", "id"], name="run_of_assistant"),
        ),
        migrations.AlterField(
            model_name="run",
            name="assistant_id",
            field=models.CharField(blank=True, default=None, max_length=64, null=True),
        ),
    ]
