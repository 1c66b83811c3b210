from functools import partial

from django.apps import AppConfig


class ThreadsConfig(AppConfig):
    name = "threads"
    label = "threads"

    def ready(self) -> None:
        from assistants.knowledge.services import files, resources
        from threads.models import Thread

        files.forgetters.append(partial(resources.forget_file, Thread.objects.all()))
