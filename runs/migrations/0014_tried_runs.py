from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0013_runs_by_priority")]

    operations = [
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                fields=["thread"],
                condition=models.Q(("deployment_id", None), ("version_id__isnull", False)),
                name="run_tried",
            ),
        ),
    ]
