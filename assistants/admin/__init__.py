"""The analyst's pages of assistants, and of what is deployed of them."""

from assistants.admin import assistants, deployment_list

__all__ = ["assistants", "deployment_list"]
