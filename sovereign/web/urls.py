"""The pages that join several rooms: front door, chat, health."""

from django.contrib.auth.views import LoginView, LogoutView
from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from sovereign.web import chat, chat_steps, health, landing

urlpatterns = [
    path("", landing.landing, name="landing"),
    path("status.json", landing.status, name="status"),
    path("login", LoginView.as_view(template_name="web/login.html", redirect_authenticated_user=True), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("chat", RedirectView.as_view(pattern_name="chat", query_string=True)),
    path("chat/", chat.chat, name="chat"),
    path("chat/threads.json", chat.threads, name="chat-threads"),
    path("chat/project", chat.choose_project, name="chat-project"),
    path("chat/<str:thread_id>", chat.chat, name="chat-thread"),
    path("chat/<str:thread_id>/steps.json", chat_steps.steps, name="chat-steps"),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("favicon.ico", RedirectView.as_view(url=static("web/mark.svg"))),
    path("health", health.health, name="health"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("health/providers", health.providers, name="health-providers"),
    path("metrics", health.metrics, name="metrics"),
]
