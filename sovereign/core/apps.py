from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "sovereign.core"
    label = "core"

    def ready(self) -> None:
        from sovereign.core import checks  # noqa: F401  (registers the system checks)
