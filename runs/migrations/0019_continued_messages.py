"""Messages say themselves which one they go on with, as their copies do: until now only their runs said so."""

from django.db import migrations


def mark(apps, editor):
    runs, messages = (
        apps.get_model("runs", "Run"),
        apps.get_model("threads", "Message").objects.using(editor.connection.alias),
    )
    continued = runs.objects.using(editor.connection.alias).exclude(continues=None)
    for run_id, thread_id, origin in continued.values_list("pk", "thread_id", "continues").iterator():
        said = messages.filter(thread_id=thread_id)
        first = said.filter(run_id=run_id).order_by("position").first()
        if first is None:
            continue
        before = said.filter(position__lt=first.position).order_by("-position").first()
        if before is not None and before.run_id == origin:
            messages.filter(pk=first.pk).update(goes_on_with=before.pk)


def unmark(apps, editor):
    messages = apps.get_model("threads", "Message").objects.using(editor.connection.alias)
    messages.exclude(run_id=None).exclude(goes_on_with=None).update(goes_on_with=None)


class Migration(migrations.Migration):
    dependencies = [("runs", "0018_continues"), ("threads", "0011_answers_in_parts")]

    operations = [migrations.RunPython(mark, unmark)]
