from django.apps import AppConfig


class KnowledgeConfig(AppConfig):
    """Files, vector stores, and what is found in them."""

    name = "assistants.knowledge"
    label = "knowledge"
