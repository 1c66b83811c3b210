from django.urls import path

from threads.api.views import MessagesView, MessageView, ThreadsView, ThreadView

urlpatterns = [
    path("threads", ThreadsView.as_view(), name="threads"),
    path("threads/<str:thread_id>", ThreadView.as_view(), name="thread"),
    path("threads/<str:thread_id>/messages", MessagesView.as_view(), name="messages"),
    path("threads/<str:thread_id>/messages/<str:message_id>", MessageView.as_view(), name="message"),
]
