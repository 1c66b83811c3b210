from django.db import migrations, models


class Migration(migrations.Migration):
    """What people think is counted with the run that they think it of, and taken back from there."""

    dependencies = [("conversations", "0001_conversations")]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="rated_run_id",
            field=models.CharField(
                blank=True,
                default=None,
                help_text="The newest run when that was said; empty: there was none.",
                max_length=64,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="conversation",
            name="counted_run_id",
            field=models.CharField(blank=True, default=None, help_text="Likewise.", max_length=64, null=True),
        ),
    ]
