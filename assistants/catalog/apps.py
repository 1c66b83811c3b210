from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """What assistants may be given to work with: library functions, MCP servers, and the tools of this server."""

    name = "assistants.catalog"
    label = "catalog"
