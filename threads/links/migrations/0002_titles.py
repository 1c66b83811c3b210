from django.db import migrations, models


class Migration(migrations.Migration):
    """Links that were there show no title."""

    dependencies = [
        ("thread_links", "0001_shared_links"),
    ]

    operations = [
        migrations.AddField(
            model_name="sharedlink",
            name="title",
            field=models.CharField(blank=True, default="", help_text="The thread's, as it was.", max_length=120),
        ),
    ]
