"""Included under ``/admin/``, before the admin's own addresses."""

from django.contrib import admin
from django.urls import path

from sovereign.web.work import views

urlpatterns = [
    path("work/", admin.site.admin_view(views.work), name="work"),
    path("work/cancel", admin.site.admin_view(views.cancel), name="work-cancel"),
]
