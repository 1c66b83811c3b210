"""The admin's pages about people, projects, keys, limits and the audit log."""

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group

from sovereign.accounts.admin import audit, invitations, keys, limits, people, projects

__all__ = ["audit", "invitations", "keys", "limits", "people", "projects"]

admin.site.unregister(Group)  # rights follow from roles; a second place to give them would only mislead
# what allauth keeps is our pages' to show; it reads no address and no provider from its tables
admin.site.unregister([EmailAddress, SocialAccount, SocialApp, SocialToken, UserSession])
