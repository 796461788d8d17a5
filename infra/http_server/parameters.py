"""Refuses parameters that no page of the admin has use for, before they reach a view: the caller's error, not ours.

PostgreSQL stores no NUL in a text, and Django's admin takes any look-up on any column of a list, some of which fail
only when the rows are read (`__range` of one value, `__regex` of no expression).
"""

from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db import DataError
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse
from django.views.defaults import bad_request

NUL = "\0"
ADMIN = "/admin/"

# Every other look-up that a column of any type knows; what is none of them is a path of names or a filter's own name.
REFUSED_LOOKUPS = frozenset(
    """
    contains icontains startswith istartswith endswith iendswith iexact regex iregex search range contained_by overlap
    has_key len date time year iso_year quarter month week week_day iso_week_day day hour minute second
    """.split()  # noqa: SIM905 - thirty quoted words are no list that anybody reads
)


class ParametersMiddleware:
    """Answers 400 to such parameters in a page's path, query or form."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, view: Any, *_: Any) -> None:
        """Raises: SuspiciousOperation, which is answered with 400."""
        if not request.path_info.startswith(ADMIN):
            return  # the API and the trade page refuse such themselves, in their own words
        if NUL in request.path_info:
            raise SuspiciousOperation("a NUL in the path")
        if any(NUL in text for text in _texts(request)):
            raise SuspiciousOperation("a NUL in a parameter")
        if request.GET and _is_of_admin(view):
            _refuse_lookups(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer 400 when a value in the query of one of the admin's pages does not fit its column."""
        match = request.resolver_match
        is_query = request.method == "GET" and bool(request.GET)
        if isinstance(error, (DataError, OverflowError)) and is_query and match and _is_of_admin(match.func):
            return bad_request(request, error)
        return None


def _is_of_admin(view: Any) -> bool:
    """Whether a view is a model's in the admin, which says so itself."""
    return hasattr(view, "model_admin")


def _texts(request: HttpRequest) -> Iterator[str]:
    for parameters in (request.GET, request.POST):
        for name, values in parameters.lists():
            yield name
            yield from values


def _refuse_lookups(request: HttpRequest) -> None:
    for name in request.GET:
        *_, last = name.split(LOOKUP_SEP)
        if last in REFUSED_LOOKUPS and LOOKUP_SEP in name:
            raise SuspiciousOperation(f"the list is not filtered by {name[:100]}")
