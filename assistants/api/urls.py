from django.urls import path

from assistants.api.views import AssistantsView, AssistantView

urlpatterns = [
    path("assistants", AssistantsView.as_view(), name="assistants"),
    path("assistants/<str:assistant_id>", AssistantView.as_view(), name="assistant"),
]
