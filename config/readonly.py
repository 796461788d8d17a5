"""Admin pages to look at, shared by all apps: nothing is changed through them, and no table is counted whole."""

from operator import attrgetter
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

MAX_COUNTED = 10_000
MAX_DIGITS = 18  # of a number that a bigint holds


class BoundedPaginator(Paginator):
    """Counts no further than MAX_COUNTED rows: the pages beyond are reached by searching."""

    @cached_property
    def count(self) -> int:
        """Rows, MAX_COUNTED at most."""
        rows: Any = self.object_list
        return rows.order_by()[:MAX_COUNTED].count()


class LeadsToTimeline:
    """Rows that belong to a customer's order, named by counter's id at `order_id_path`; add "timeline" to the list."""

    order_id_path = "order_id"

    @display(description="timeline")
    def timeline(self, row: Model) -> str:
        """A link to everything that happened to the row's order."""
        order_id = attrgetter(self.order_id_path)(row)
        if order_id is None:
            return ""
        return format_html(
            '<a class="underline" href="{}">timeline</a>', reverse("order_timeline", args=[order_id])
        )


class ReadOnlyAdmin(ModelAdmin):
    """Nothing can be added, changed or deleted here: what changes money are operations, with their own checks."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    ordering = ["-pk"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def is_number(term: str) -> bool:
    """Whether what was typed can be an id."""
    return term.isascii() and term.isdecimal() and len(term) <= MAX_DIGITS
