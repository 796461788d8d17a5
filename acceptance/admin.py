"""The desk's inbox as staff see it: to look at and to search, never to change.

Lists stay quick over millions of rows: ordered by primary key, searched by indexed columns, never counted whole.
"""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from acceptance.models import AcceptedOrder
from infra.admin.readonly import ReadOnlyAdmin, age_filter, is_number, link_column


class SearchedAdmin(ReadOnlyAdmin):
    """Digits search `number_fields`, anything else `text_fields`: the first column that knows what was typed."""

    search_fields = ["pk"]  # shows the search box; `get_search_results` says what is searched
    number_fields = ["pk"]
    text_fields: list[str] = []

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows whose first number or text column is what was typed, each looked for by itself, so by its index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        for field in self.number_fields if is_number(term) else self.text_fields:
            found = queryset.filter(**{field: term})
            if found.exists():
                return found, False
        return queryset.none(), False


class IndexedState(admin.SimpleListFilter):
    """States that an index finds among millions of rows; what is CONVERTING shows with its conversion."""

    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        states = (AcceptedOrder.State.RECEIVED, AcceptedOrder.State.SETTLED, AcceptedOrder.State.REPORTED)
        return [(state.value, state.label) for state in states]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen not in AcceptedOrder.State.values:
            return queryset
        found = queryset.filter(state=chosen)
        return (
            found.filter(underlying__in=settings.COINS) if chosen == AcceptedOrder.State.RECEIVED else found
        )


class AcceptedOrderAdmin(SearchedAdmin):
    timeline = link_column("timeline", page="order_timeline", by="order_id")
    list_display = [
        *(
            "id",
            "source",
            "order_id",
            "timeline",
            "kind",
            "symbol",
            "coin",
            "fair",
            "payout",
            "state",
            "door",
        ),
        *("conversion_id", "received_at", "settled_at", "reported_at"),
    ]
    list_filter = [IndexedState, age_filter("received_at", goes_with_key=True)]
    search_help_text = "Counter's id of the order, the desk's own, or the conversion's"
    number_fields = ["order_id", "pk", "conversion_id"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """As everywhere; every order is of our counter, and the index of order ids begins with its name."""
        return super().get_search_results(
            request, queryset.filter(source=settings.COUNTER_SOURCE), search_term
        )
