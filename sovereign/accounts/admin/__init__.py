"""The admin's pages about people, projects, keys and the audit log."""

from django.contrib import admin
from django.contrib.auth.models import Group

from sovereign.accounts.admin import audit, keys, people, projects

__all__ = ["audit", "keys", "people", "projects"]

admin.site.unregister(Group)  # rights follow from roles; a second place to give them would only mislead
