"""The filters that people keep of the admin's lists: each their own, under names of their own."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from sovereign.accounts.models import SavedFilter
from sovereign.core.database import service
from sovereign.core.errors import ApiError, not_found
from sovereign.core.visible import storable

MOST = 50  # of a person and a list
NAME_LENGTH = 80
QUERY_LENGTH = 2_000
#: what an address holds besides: the page one is on, Django's note of a mistake, and how it opens choosers
PASSING = frozenset(("p", "all", "e", "_popup", "_to_field"))


def cleaned(query: str) -> str:
    """What of an address's query is worth keeping, written anew.

    >>> cleaned("?status=failed&p=3")
    'status=failed'
    """
    pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True)
    return urlencode([(name, value) for name, value in pairs if name not in PASSING])


@service
def save_filter(*, user_id: int, page: str, name: str, query: str) -> SavedFilter:
    """Keep a filter under a name, in the place of one that has it.

    :raises ApiError: 400, without a name or a filter, too long, or there are too many.
    """
    name, query = storable(" ".join(name.split()), NAME_LENGTH + 1), cleaned(query)
    if not name or len(name) > NAME_LENGTH:
        raise ApiError(f"Give the filter a name of at most {NAME_LENGTH} characters.", param="name")
    if not query:
        raise ApiError("Nothing is filtered. Choose filters or search first, then save them.", param="query")
    if len(query) > QUERY_LENGTH:
        raise ApiError("These filters are too long to be saved.", param="query")
    own = SavedFilter.objects.filter(user_id=user_id, page=page)
    if own.count() >= MOST and not own.filter(name=name).exists():
        raise ApiError(f"At most {MOST} filters of a list are kept. Delete one that you need no more.", param="name")
    saved, _ = SavedFilter.objects.update_or_create(user_id=user_id, page=page, name=name, defaults={"query": query})
    return saved


@service
def delete_filter(*, user_id: int, page: str, pk: int) -> SavedFilter:
    """:raises ApiError: 404, also where it is somebody else's."""
    found = SavedFilter.objects.filter(user_id=user_id, page=page, pk=pk).first()
    if found is None:
        raise not_found("filter", str(pk))
    found.delete()
    return found
