from django.apps import AppConfig


class EmbedsConfig(AppConfig):
    """Assistants on other sites: keys that stand in a page, and those who come by them without an account."""

    name = "assistants.embeds"
    label = "embeds"
