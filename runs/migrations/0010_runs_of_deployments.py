from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0009_feedback")]

    operations = [
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                fields=["deployment_id", "created_at", "id"],
                condition=models.Q(("deployment_id__isnull", False)),
                name="run_of_deployment",
            ),
        ),
    ]
