"""Finding assistants, and how much they are used: ``/api/v1/assistants``."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from assistants import popularity, services
from assistants.api.lifecycle.assistants import CHOICES
from assistants.api.lifecycle.base import LifecycleView
from assistants.api.lifecycle.objects import WholeAssistantObject
from assistants.models.uses import SOURCE_LENGTH
from assistants.popularity import MOST_DAYS, USUAL_DAYS, Popular
from assistants.rendering import render_popular, render_use, render_whole
from assistants.search import QUERY_LENGTH, Match, Owner, Wanted, search
from assistants.services.uses import MOST_AT_ONCE
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.scopes import ASSISTANTS_READ, ASSISTANTS_WRITE
from sovereign.accounts.services import member_named
from sovereign.core.api.filters import all_chosen, chosen
from sovereign.core.api.pagination import DEFAULT_LIMIT, MAXIMUM_LIMIT, enveloped, page_of
from sovereign.core.api.schema import UnixTime, list_of
from sovereign.core.api.validation import StrictNumber, StrictSerializer, StrictString
from sovereign.core.errors import ApiError

RANKED_PAGE = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 0, "maximum": MAXIMUM_LIMIT, "default": DEFAULT_LIMIT},
        description="How many objects a page has at most.",
    ),
    OpenApiParameter("after", str, description="Only what follows the assistant with this id, in the same order."),
]


class FoundAssistantObject(WholeAssistantObject):
    relevance = serializers.FloatField(allow_null=True, help_text="1 for the best; null where no words were given.")


class PopularAssistantObject(serializers.Serializer):
    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["assistant.popularity"])
    name = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_null=True)
    type = serializers.ChoiceField(choices=CHOICES["type"])
    status = serializers.ChoiceField(choices=CHOICES["status"])
    uses = serializers.IntegerField(help_text="All of them together.")
    runs = serializers.IntegerField(help_text="Of this server, without those that only try a version.")
    external = serializers.IntegerField(help_text="Elsewhere, as applications have told it.")


class UseObject(serializers.Serializer):
    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["assistant.use"])
    created_at = UnixTime()
    assistant_id = serializers.CharField()
    count = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]  # a serializer's own attribute
    external = serializers.BooleanField(help_text="Always true: it counts for popularity, never for costs or quotas.")


class UseRequest(StrictSerializer):
    count = StrictNumber(minimum=1, maximum=MOST_AT_ONCE, integer=True, required=False)
    source = StrictString(max_length=SOURCE_LENGTH, required=False)  # type: ignore[assignment]


class SearchView(LifecycleView):
    """Find assistants."""

    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(
        operation_id="searchAssistants",
        parameters=[
            OpenApiParameter("q", str, description="Words, all of which have to be there; the last letters may miss."),
            *(
                OpenApiParameter(name, str, many=True, enum=CHOICES[name], description=f"Only those of this {name}.")
                for name in ("type", "status")
            ),
            OpenApiParameter("tag", str, many=True, description="Only those with all of these tags."),
            OpenApiParameter("owner", str, description="Only those of a person (name or id) or a key (id), or `me`."),
            *RANKED_PAGE,
        ],
        responses=list_of(FoundAssistantObject),
    )
    def get(self, request: Request) -> Response:
        """Assistants by words in their name, tags, description and instructions, the best first."""
        query, page = request.query_params, page_of(request.query_params)
        found = search(
            principal=principal_of(request),
            query=query.get("q", "")[:QUERY_LENGTH],
            wanted=Wanted(
                types=all_chosen(query, "type", CHOICES["type"]),
                statuses=all_chosen(query, "status", CHOICES["status"]),
                tags=query.getlist("tag"),
                owner=_owner(request),
            ),
            limit=page.limit + 1,
            after=page.after,
        )
        return Response(_ranked_page([_render_match(match) for match in found], page.limit))


class PopularView(LifecycleView):
    """What is used most."""

    scopes = {"GET": ASSISTANTS_READ}

    @extend_schema(
        operation_id="listPopularAssistants",
        parameters=[
            OpenApiParameter(
                "days",
                {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": USUAL_DAYS},
                description="How far back it is looked.",
            ),
            OpenApiParameter("type", str, enum=CHOICES["type"], description="Only those of this type."),
            *RANKED_PAGE,
        ],
        responses=list_of(PopularAssistantObject),
    )
    def get(self, request: Request) -> Response:
        """The assistants that were used in the last days, most used first."""
        page = page_of(request.query_params)
        found = popularity.popular(
            principal=principal_of(request),
            limit=page.limit + 1,
            days=_days(request),
            kind=chosen(request.query_params, "type", CHOICES["type"]),
            after=page.after,
        )
        return Response(_ranked_page([_render_popular(one) for one in found], page.limit))


class UsageView(LifecycleView):
    """Tell of use elsewhere."""

    scopes = {"POST": ASSISTANTS_WRITE}
    actions = {"POST": "assistant.tell_use"}
    serializer_class = UseRequest

    @extend_schema(
        operation_id="tellAssistantUsage",
        request=UseRequest,
        responses=UseObject,
        examples=[OpenApiExample("Last night's import", value={"count": 240, "source": "import"}, request_only=True)],
    )
    def post(self, request: Request, assistant_id: str) -> Response:
        """Tell that an assistant was used somewhere else.

        It counts for `popular`, and is told apart there. It costs nothing and uses up no quota.
        """
        use = services.tell_use(principal=principal_of(request), assistant_id=assistant_id, **self.body())
        return Response(render_use(use))


def _ranked_page(found: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """One more than ``limit`` says that there are more."""
    return enveloped(found[:limit], has_more=len(found) > limit)


def _render_match(match: Match) -> dict[str, Any]:
    return {**render_whole(match.assistant), "relevance": match.relevance}


def _render_popular(one: Popular) -> dict[str, Any]:
    return render_popular(one.assistant, one.uses)


def _owner(request: Request) -> Owner | None:
    """Whose assistants are asked for: ``me``, the id of a key, or the name or id of a person."""
    text = request.query_params.get("owner")
    if text is None:
        return None
    principal = principal_of(request)
    if text == "me":
        return Owner(user=principal.user_id, key=principal.key_id)
    if text.startswith("key_"):
        return Owner(key=text)
    return Owner(user=member_named(principal=principal, name=text))


def _days(request: Request) -> int:
    """:raises ApiError: 400, not a number of days."""
    text = request.query_params.get("days", str(USUAL_DAYS))
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MOST_DAYS):
        raise ApiError(
            f"Invalid 'days': expected an integer from 1 to {MOST_DAYS}.", param="days", code="invalid_value"
        )
    return int(text)


fixed = [
    path("assistants/search", SearchView.as_view()),
    path("assistants/popular", PopularView.as_view()),
]
patterns: list[URLPattern] = []  # ``UsageView`` is at the address where usage is read, too: ``runs.analytics.api``
