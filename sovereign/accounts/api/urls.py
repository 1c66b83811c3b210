"""Included under ``/v1/``."""

from django.urls import path

from sovereign.accounts.api.views import WebSocketTicketView

urlpatterns = [path("ws_tickets", WebSocketTicketView.as_view(), name="ws_tickets")]
