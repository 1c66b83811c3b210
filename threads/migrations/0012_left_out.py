from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("threads", "0011_answers_in_parts")]

    operations = [
        migrations.AddField(
            model_name="thread",
            name="left_out",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text="How many messages of the thread that it repeats it does not have; see threads.copying.",
            ),
        ),
    ]
