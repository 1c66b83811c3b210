from django.db import migrations, models


class Migration(migrations.Migration):
    """The newest threads of a project are read off an index, also those that belong to nobody."""

    dependencies = [("threads", "0003_message_indexes")]

    operations = [
        migrations.RemoveIndex(model_name="thread", name="thread_chats"),
        migrations.AddIndex(
            model_name="thread",
            index=models.Index(fields=["project", "owner", "last_activity_at", "id"], name="thread_activity"),
        ),
    ]
