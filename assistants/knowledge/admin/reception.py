"""What the pages' script sends: one file at a time, of any size that files may have, to where it stays as it comes."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from rest_framework.request import Request

from assistants.knowledge.api.files import FilesView
from sovereign.accounts.admin.base import principal_for
from sovereign.accounts.api.authentication import CredentialsAuthentication, Refusal
from sovereign.accounts.models import Project
from sovereign.accounts.principals import Principal
from sovereign.core.errors import ApiError


class StaffInProject(CredentialsAuthentication):
    """The session of somebody who may enter the admin, in the project that ``?project=`` names."""

    def authenticate(self, request: Request) -> tuple[Any, Principal]:
        project = Project.objects.active().filter(pk=request.query_params.get("project", "")).first()
        try:
            if project is None:
                raise PermissionDenied
            principal = principal_for(request._request, project.pk)
        except PermissionDenied:
            raise Refusal(ApiError("You are in no project of that id.", status=403)) from None
        self.enforce_csrf(request)
        return request._request.user, principal


class ReceptionView(FilesView):
    """``POST /v1/files`` for the admin's pages, which know the projects of all they show."""

    authentication_classes = (StaffInProject,)
    http_method_names = ("post",)
    schema = None  # no part of the API
