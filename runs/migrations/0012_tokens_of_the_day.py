import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_limits"), ("runs", "0011_priorities")]

    operations = [
        migrations.CreateModel(
            name="DayTokens",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("assistant_id", models.CharField(max_length=64)),
                ("environment", models.CharField(max_length=16)),
                ("day", models.DateField()),
                ("tokens", models.PositiveBigIntegerField(default=0, help_text="Of prompts and of completions.")),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.project"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("assistant_id", "environment"), name="day_tokens_once"),
                ],
            },
        ),
    ]
