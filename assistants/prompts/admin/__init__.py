"""The pages of the library of prompts; importing them registers them."""

from assistants.prompts.admin import prompts

__all__ = ["prompts"]
