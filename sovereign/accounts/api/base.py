"""The one base of every view of ``/v1``."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from rest_framework.views import APIView

from sovereign.core.api import leniency
from sovereign.core.api.leniency import ignoring
from sovereign.core.api.validation import StrictSerializer
from sovereign.core.configuration import LENIENT


class ApiView(APIView):
    """A view says which serializer its body is (``serializer_class``), and gets what that made of it.

    ``partial_body = True``: the body changes only what it names, so that nothing in it is required.
    """

    serializer_class: ClassVar[type[StrictSerializer]]
    partial_body: ClassVar[bool] = False

    def body(self) -> dict[str, Any]:
        """The validated body of the request, a fresh dictionary.

        :raises rest_framework.exceptions.ValidationError: the first refusal of a field becomes the answer's envelope.
        """
        if settings.SOVEREIGN.unknown_parameters != LENIENT:
            return self._validated()
        with ignoring() as ignored:
            try:
                return self._validated()
            finally:
                if text := ignored.header(self.request.data):
                    self.headers[leniency.HEADER] = text  # DRF puts these on whatever the answer will be

    def _validated(self) -> dict[str, Any]:
        serializer = self.serializer_class(data=self.request.data, partial=self.partial_body)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)
