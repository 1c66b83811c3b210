"""The analyst's pages of assistants, of what is deployed of them, and of where they are shown."""

from assistants.admin import assistants, deployment_list, embeds

__all__ = ["assistants", "deployment_list", "embeds"]
