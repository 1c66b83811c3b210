from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0012_tokens_of_the_day")]

    operations = [
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                fields=["project", "-priority", "created_at", "id"],
                condition=models.Q(("status", "queued")),
                name="run_by_priority",
            ),
        ),
    ]
