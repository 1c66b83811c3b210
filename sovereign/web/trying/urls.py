"""Addresses inside the admin's: they come before its own, which end with one that takes all."""

from django.contrib import admin
from django.urls import path

from sovereign.web.trying import pages

OF = "assistants/assistant/<str:assistant_id>/try/"

urlpatterns = [
    path(OF, admin.site.admin_view(pages.page), name="assistant_try"),
    path(f"{OF}figures.json", admin.site.admin_view(pages.figures_of), name="assistant_try_figures"),
    path(f"{OF}case", admin.site.admin_view(pages.make_case), name="assistant_try_case"),
]
