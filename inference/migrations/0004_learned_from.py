"""Which provider a model's name is known from."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("inference", "0003_stored_completions")]

    operations = [
        migrations.AddField(
            model_name="registeredmodel",
            name="learned_from",
            field=models.CharField(blank=True, editable=False, max_length=64),
        ),
    ]
