"""The catalog's pages; importing them registers them."""

from assistants.catalog.admin import functions, servers

__all__ = ["functions", "servers"]
