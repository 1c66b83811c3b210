from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("assistants", "0013_parent_index"),
    ]

    operations = [
        migrations.AddField(
            model_name="assistant",
            name="suggestions",
            field=models.JSONField(
                blank=True, help_text="First questions that the chat offers; a list of texts.", null=True
            ),
        ),
    ]
