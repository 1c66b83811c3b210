from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0010_visitors")]

    operations = [
        migrations.AlterField(
            model_name="message",
            name="goes_on_with",
            field=models.CharField(
                blank=True,
                default=None,
                help_text="The message before it (of a copy its original), with which it is one answer; see threads.answers.",
                max_length=64,
                null=True,
            ),
        ),
    ]
