"""The ASGI application: Django for HTTP, Channels for WebSockets."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovereign.settings")
django.setup(set_prefix=False)

from channels.auth import AuthMiddlewareStack  # noqa: E402  (apps must be loaded first)
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from sovereign.core.asgi import OneHopHandler  # noqa: E402
from sovereign.urls import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {"http": OneHopHandler(), "websocket": AuthMiddlewareStack(URLRouter(websocket_urlpatterns))}
)
