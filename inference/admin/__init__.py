"""The registry in the admin: to be seen by everybody who may enter it, and changed by superusers."""

from inference.admin import engines, models, prices, providers, usage

__all__ = ["engines", "models", "prices", "providers", "usage"]
