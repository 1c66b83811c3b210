from django.apps import AppConfig


class PromptsConfig(AppConfig):
    """The library of prompts: texts with variables, their versions and labels. It knows nothing of assistants."""

    name = "assistants.prompts"
    label = "prompts"
