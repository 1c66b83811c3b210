from django.apps import AppConfig


class KnowledgeConfig(AppConfig):
    """Files, vector stores, and what is found in them."""

    name = "assistants.knowledge"
    label = "knowledge"

    def ready(self) -> None:
        from assistants.knowledge import checks  # noqa: F401 (registers them)
        from assistants.knowledge.pictures import load
        from inference import pictures

        pictures.register(load)
