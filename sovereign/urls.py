"""Every address of the product."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularRedocView, SpectacularSwaggerView

from inference.api.urls import sidecar_patterns
from runs.api.urls import own_patterns as of_runs
from runs.streaming.consumer import ThreadConsumer
from sovereign.web.people.login import of_admin

v1 = [
    path("", include("assistants.api.urls")),
    path("", include("assistants.knowledge.api.urls")),
    path("", include("runs.api.urls")),  # before threads: "threads/runs" is no thread's id
    path("", include("threads.api.urls")),
    path("", include("inference.api.urls")),
    path("", include("sovereign.accounts.api.urls")),
]

#: what the contract does not know
own = [
    path("", include("runs.analytics.api.urls")),  # before assistants: "assistants/summary" is no assistant's id
    path("", include("runs.alerts.api.urls")),
    path("", include("runs.conversations.api.urls")),
    path("", include("assistants.api.lifecycle.urls")),
    path("", include("assistants.prompts.api.urls")),
    path("", include("runs.evaluations.api.urls")),
    path("", include(of_runs)),
    path("", include(sidecar_patterns)),
]

urlpatterns = [
    path("v1/", include(v1)),
    path("api/v1/", include(own)),
    path("", include("runs.mcp.urls")),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    path("api/schema/", SpectacularJSONAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerView.as_view(url_name="openapi"), name="docs"),
    path("redoc", SpectacularRedocView.as_view(url_name="openapi"), name="redoc"),
    path("admin/", include("sovereign.web.trying.urls")),
    path("admin/", include("sovereign.web.work.urls")),
    path("admin/", include("sovereign.web.home.urls")),
    path("admin/login/", of_admin),
    path("admin/", admin.site.urls),
    path("", include("sovereign.web.urls")),
]

handler400 = "sovereign.web.errors.bad_request"
handler403 = "sovereign.web.errors.forbidden"
handler404 = "sovereign.web.errors.not_found"
handler500 = "sovereign.web.errors.failed"

websocket_urlpatterns = [path("ws/threads/<str:thread_id>", ThreadConsumer.as_asgi())]
