"""Admin pages to look at, shared by all apps: nothing is changed through them, and no table is counted whole."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin

MAX_COUNTED = 10_000
MAX_DIGITS = 18  # of a number that a bigint holds


class BoundedPaginator(Paginator):
    """Counts no further than MAX_COUNTED rows: the pages beyond are reached by searching."""

    @cached_property
    def count(self) -> int:
        """Rows, MAX_COUNTED at most."""
        rows: Any = self.object_list
        return rows.order_by()[:MAX_COUNTED].count()


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
