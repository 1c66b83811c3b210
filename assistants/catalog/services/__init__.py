"""Every change of the catalog: functions and MCP servers."""

from assistants.catalog.services.functions import create_function, delete_function, update_function
from assistants.catalog.services.listings import refresh_listing, store_failure, store_listing
from assistants.catalog.services.servers import allow_tools, create_server, delete_server, update_server

__all__ = [
    "allow_tools",
    "create_function",
    "create_server",
    "delete_function",
    "delete_server",
    "refresh_listing",
    "store_failure",
    "store_listing",
    "update_function",
    "update_server",
]
