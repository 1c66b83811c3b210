from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("assistants", "0012_search"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="assistant",
            index=models.Index(
                condition=models.Q(("parent_id__isnull", False)),
                fields=["project", "parent_id"],
                name="assistant_children",
            ),
        ),
    ]
