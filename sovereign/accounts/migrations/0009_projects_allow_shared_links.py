from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_backed_invitations"),
    ]

    operations = [
        migrations.AddField(
            model_name="project",
            name="allows_shared_links",
            field=models.BooleanField(
                default=True,
                help_text="Whoever has such a link reads the conversation without a login. Turned off, none is made, "
                "and those that there are open nothing.",
                verbose_name="conversations may be shared by links",
            ),
        ),
    ]
