"""A list of the admin as CSV: the columns that it shows of the rows that its search and filters leave, all of them.

Read by primary key, some thousand rows a statement: the memory is the same for a hundred rows and for millions, and no
statement is long. Rows are in the order of their keys.
"""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.admin.utils import lookup_field
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db.models import IntegerField, Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.html import strip_tags

from infra.csv_lines import csv_lines, text_cell

ROWS_A_STATEMENT = 2000


def exported(admin: Any, request: HttpRequest) -> StreamingHttpResponse:
    """The answer, for who may see the list; `admin` is the list's. Raises: PermissionDenied."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    found = admin.get_changelist_instance(request).queryset
    names = [
        name for name in admin.get_list_display(request) if name not in ("action_checkbox", "timeline", "pdf")
    ]
    heading = ["id", *names] if "id" not in names and "pk" not in names else names
    columns = [_column(admin.model, name) for name in heading]
    # Of columns of the table alone no models are made, which takes most of the time.
    cells = (
        ([text_of(value) for value in values] for values in _values_by_key(found, columns))
        if None not in columns
        else ([_cell(admin, row, name) for name in heading] for row in _by_key(found))
    )
    answer = StreamingHttpResponse(csv_lines(heading, cells), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{admin.opts.model_name}.csv"'
    return answer


def _column(model: type[Model], name: str) -> str | None:
    """The column of the table that a list shows by this name; None of what the list works out."""
    if name == "id":
        return "pk" if isinstance(model._meta.pk, IntegerField) else None
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field.attname if field.concrete and not field.many_to_many else None


def _values_by_key(found: QuerySet[Any], columns: list[Any]) -> Iterator[tuple[Any, ...]]:
    ordered = found.order_by("pk").values_list("pk", *columns)
    last: Any = None
    while True:
        rows = list((ordered if last is None else ordered.filter(pk__gt=last))[:ROWS_A_STATEMENT])
        yield from (row[1:] for row in rows)
        if len(rows) < ROWS_A_STATEMENT:
            return
        last = rows[-1][0]


def _by_key(found: QuerySet[Any]) -> Iterator[Model]:
    ordered = found.order_by("pk")
    last: Any = None
    while True:
        rows = list((ordered if last is None else ordered.filter(pk__gt=last))[:ROWS_A_STATEMENT])
        yield from rows
        if len(rows) < ROWS_A_STATEMENT:
            return
        last = rows[-1].pk


def _cell(admin: Any, row: Model, name: str) -> str:
    """As the table has it: exact amounts, times in UTC; of what the list works out, its words."""
    if name == "id":
        return text_cell(str(row.pk))
    try:
        value = row.serializable_value(row._meta.get_field(name).attname)  # type: ignore[union-attr]
    except (FieldDoesNotExist, AttributeError):
        _, _, value = lookup_field(name, row, admin)
    return text_of(value)


def text_of(value: Any) -> str:
    """One value: a number with all its digits, a time with its zone, and text that is no formula."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, list | tuple):
        return text_cell(", ".join(map(str, value)))
    return text_cell(strip_tags(str(value)))
