from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0005_summaries")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="redacted_at",
            field=models.DateTimeField(
                null=True, blank=True, help_text="When what it said was taken out; see threads.redaction."
            ),
        ),
    ]
