"""Included under ``/admin/``, before the admin's own addresses."""

from django.contrib import admin
from django.urls import path

from sovereign.web import finding
from sovereign.web.home import first_day

urlpatterns = [
    path("first-day/", admin.site.admin_view(first_day.dismiss), name="first-day-dismiss"),
    path("search/", admin.site.admin_view(finding.search), name="search"),  # where the theme would have its own
]
