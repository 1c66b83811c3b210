from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inference", "0005_wanted_until"),
    ]

    operations = [
        migrations.CreateModel(
            name="UncountedCall",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("call_id", models.CharField(max_length=64)),
                ("thread_id", models.CharField(blank=True, default=None, max_length=64, null=True)),
            ],
        ),
        migrations.RunSQL(  # nothing is counted yet: oldest first
            "INSERT INTO inference_uncountedcall (call_id, thread_id) "
            "SELECT id, thread_id FROM inference_usagerecord ORDER BY id",
            migrations.RunSQL.noop,
        ),
    ]
