"""Admin pages to look at, shared by all apps: nothing is changed through them, and no table is counted whole."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

from infra.admin.csv_export import exported
from infra.coordination import clock

MAX_COUNTED = 10_000
MAX_DIGITS = 18  # of a number that a bigint holds
MAX_AGE_DIGITS = 9


AGES = {"5 minutes": 300, "1 hour": 3600, "1 day": 86_400, "7 days": 604_800}  # in seconds


def age_filter(column: str, *, goes_with_key: bool = False) -> type[admin.SimpleListFilter]:
    """A filter of a list by how old rows are by one of their times, younger and older than each of AGES.

    Where the time goes with the primary key, the key at that moment is looked for, so that the time needs no index.
    """

    class Age(admin.SimpleListFilter):
        title = f"age, by {column.replace('_', ' ')}"
        parameter_name = f"age_{column}"

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            within = [(f"within-{seconds}", f"younger than {name}") for name, seconds in AGES.items()]
            return within + [(f"over-{seconds}", f"older than {name}") for name, seconds in AGES.items()]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            side, _, seconds = (self.value() or "").partition("-")
            if side not in ("within", "over") or not is_number(seconds) or len(seconds) > MAX_AGE_DIGITS:
                return queryset
            moment = clock.of(queryset.db).now() - timedelta(seconds=int(seconds))
            compared, to = (
                (column, moment) if not goes_with_key else ("pk", first_key(queryset.model, column, moment))
            )
            return queryset.filter(**{f"{compared}__{'gte' if side == 'within' else 'lt'}": to})

    return Age


def first_key(model: type[Model], column: str, moment: datetime) -> int:
    """The first primary key whose row's time is not before a moment; some 25 reads of one row in a table of any size.

    Rows that a moment of two processes has put out of order are told apart to that moment only.
    """
    rows = model._default_manager.order_by("pk")
    last = rows.values_list("pk", flat=True).last() or 0
    low, high = 1, last + 1
    while low < high:
        middle = (low + high) // 2
        found = rows.filter(pk__gte=middle).values_list("pk", column).first()
        if found is None or found[1] >= moment:
            high = middle
        else:
            low = found[0] + 1
    return low


class BoundedPaginator(Paginator):
    """Counts no further than MAX_COUNTED rows: the pages beyond are reached by searching."""

    @cached_property
    def count(self) -> int:
        """Rows, MAX_COUNTED at most."""
        rows: Any = self.object_list
        return rows.order_by()[:MAX_COUNTED].count()


def link_column(name: str, *, page: str, by: str) -> Callable[[Any, Model], str]:
    """A column of a list: a link to the page of the id that the row has at `by`, and nothing where it has none."""

    @display(description=name)
    def link(self: Any, row: Model) -> str:
        found = attrgetter(by)(row)
        if found is None:
            return ""
        return format_html('<a class="underline" href="{}">{}</a>', reverse(page, args=[found]), name)

    return link


class ReadOnlyAdmin(ModelAdmin):
    """Nothing can be added, changed or deleted here: what changes money are operations, with their own checks."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    ordering = ["-pk"]
    list_after_template = "infra/csv_link.html"
    change_form_template = "infra/readonly_form.html"

    def get_urls(self) -> list[URLPattern]:
        """With the address of the list as CSV."""
        view = self.admin_site.admin_view(partial(exported, self))
        name = f"{self.opts.app_label}_{self.opts.model_name}_csv"
        return [path("export.csv", view, name=name), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def is_number(term: str) -> bool:
    """Whether what was typed can be an id."""
    return term.isascii() and term.isdecimal() and len(term) <= MAX_DIGITS
