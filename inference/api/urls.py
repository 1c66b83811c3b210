from django.urls import path

from inference.api.views.chat import (
    ChatCompletionStreamView,
    ChatCompletionsView,
    StoredChatCompletionView,
    StoredMessagesView,
)
from inference.api.views.completions import CompletionsView
from inference.api.views.embeddings import EmbeddingsView, ModerationsView
from inference.api.views.models import ModelsView, ModelView, ProviderModelsView

urlpatterns = [
    path("models", ModelsView.as_view(), name="models"),
    path("models/<path:model>", ModelView.as_view(), name="model"),
    path("chat/completions", ChatCompletionsView.as_view(), name="chat_completions"),
    path("chat/completions/<str:completion_id>", StoredChatCompletionView.as_view(), name="chat_completion"),
    path("chat/completions/<str:completion_id>/messages", StoredMessagesView.as_view(), name="chat_messages"),
    path("completions", CompletionsView.as_view(), name="completions"),
    path("embeddings", EmbeddingsView.as_view(), name="embeddings"),
    path("moderations", ModerationsView.as_view(), name="moderations"),
]

#: The same under the names that clients of a gateway beside an application know.
sidecar_patterns = [
    path("chat/completions", ChatCompletionsView.as_view(http_method_names=["post", "options"], schema=None)),
    path("chat/completions/stream", ChatCompletionStreamView.as_view(schema=None)),
    path("models", ModelsView.as_view(schema=None)),
    path("models/<str:provider>", ProviderModelsView.as_view(schema=None)),
]
