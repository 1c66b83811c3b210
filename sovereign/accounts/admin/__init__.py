"""The admin's pages about people, projects, keys, limits and the audit log."""

from django.contrib import admin
from django.contrib.auth.models import Group

from sovereign.accounts.admin import audit, keys, limits, people, projects

__all__ = ["audit", "keys", "limits", "people", "projects"]

admin.site.unregister(Group)  # rights follow from roles; a second place to give them would only mislead
