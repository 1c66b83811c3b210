"""``/api/v1/conversations``: fixed words go before those where a conversation's id may stand."""

from django.urls import path

from runs.conversations.api import views

CONVERSATION = "conversations/<str:conversation_id>"

urlpatterns = [
    path("conversations", views.StartView.as_view(), name="conversations"),
    path("conversations/active", views.ActiveView.as_view(), name="conversations-active"),
    path(CONVERSATION, views.ConversationView.as_view(), name="conversation"),
    path(f"{CONVERSATION}/messages", views.MessagesView.as_view(), name="conversation-messages"),
    path(f"{CONVERSATION}/context", views.ContextView.as_view(), name="conversation-context"),
    path(f"{CONVERSATION}/end", views.EndView.as_view(), name="conversation-end"),
    path(f"{CONVERSATION}/satisfaction", views.SatisfactionView.as_view(), name="conversation-satisfaction"),
    path(f"{CONVERSATION}/summary", views.SummaryView.as_view(), name="conversation-summary"),
]
