"""The pages that join several rooms: front door, chat, health."""

from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from sovereign.web import health, installing, landing, shared, words
from sovereign.web.embed.pages import loader

urlpatterns = [
    path("", landing.landing, name="landing"),
    path("status.json", landing.status, name="status"),
    path("", include("sovereign.web.people.urls")),
    path("language", words.choose, name="set_language"),
    path("words/<str:language>.js", words.words, name="words"),
    path("s/<str:secret>", shared.shared, name="shared"),
    path("embed.js", loader, name="embed-loader"),
    path("embed/", include("sovereign.web.embed.urls")),
    path("chat", RedirectView.as_view(pattern_name="chat", query_string=True)),
    path("chat/", include("sovereign.web.chat.urls")),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("manifest.webmanifest", installing.manifest, name="manifest"),
    path("service-worker.js", installing.service_worker, name="service-worker"),
    path("offline", installing.offline, name="offline"),
    path("favicon.ico", RedirectView.as_view(url=static("web/mark.svg"))),
    path("health", health.health, name="health"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("health/providers", health.providers, name="health-providers"),
    path("metrics", health.metrics, name="metrics"),
]
