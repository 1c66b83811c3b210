from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("knowledge", "0005_former_places"),
    ]

    operations = [
        migrations.AddField(
            model_name="chunk",
            name="repeated",
            field=models.PositiveIntegerField(
                db_default=0, default=0, help_text="How many characters at its beginning the chunk before it has, too."
            ),
        ),
    ]
