"""Which tools nobody is asked about, in place of those that somebody is: a tool is asked about until somebody unticks it."""

from django.db import migrations, models


def turn_over(apps, schema_editor):
    """Where nothing was ticked, all is asked about from now on: the boxes had not been there to be ticked."""
    for server in apps.get_model("catalog", "McpServer").objects.exclude(approval_tools=[]):
        server.unasked_tools = sorted(set(server.allowed) - set(server.approval_tools))
        server.save(update_fields=["unasked_tools"])


def turn_back(apps, schema_editor):
    for server in apps.get_model("catalog", "McpServer").objects.all():
        server.approval_tools = sorted(set(server.allowed) - set(server.unasked_tools))
        server.save(update_fields=["approval_tools"])


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_functions_and_servers")]

    operations = [
        migrations.AddField(
            model_name="mcpserver",
            name="unasked_tools",
            field=models.JSONField(blank=True, default=list, editable=False),
        ),
        migrations.RunPython(turn_over, turn_back),
        migrations.RemoveField(model_name="mcpserver", name="approval_tools"),
    ]
