from django.urls import path

from runs.mcp.views import McpView

urlpatterns = [path("mcp", McpView.as_view(), name="mcp")]
