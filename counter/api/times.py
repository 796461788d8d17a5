"""Times in a query: lists between two of them, of which the first is within and the second is not."""

from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
from django.db import models
from msgspec import Meta, field

from counter.api.errors import ApiError
from counter.api.pages import PageQuery
from counter.contracts import Moment
from counter.models import SyncOrder
from infra.db.ids_by_time import begin_id, end_id

# Texts in messages, which `read_time` reads: of a query a number would pass for a time as well.
TIME = {"format": "date-time"}
FromTime = Annotated[str, Meta(description="What was made at this time or later.", extra_json_schema=TIME)]
ToTime = Annotated[str, Meta(description="What was made before this time.", extra_json_schema=TIME)]
M = TypeVar("M", bound=models.Model)


class TimedQuery(PageQuery, kw_only=True):
    """A list that may be asked for between two times."""

    from_time: FromTime | None = field(default=None, name="from")
    to_time: ToTime | None = field(default=None, name="to")


def read_time(asked: str | None, name: str) -> datetime | None:
    """A time as asked by the parameter `name`, with its offset from UTC.

    Raises: ApiError.
    """
    if asked is None:
        return None
    try:
        return msgspec.convert(asked, Moment)
    except msgspec.ValidationError as error:
        raise ApiError("invalid_request", str(error), path=f"$.{name}") from error


def between(rows: models.QuerySet[M], query: TimedQuery, moment: str) -> models.QuerySet[M]:
    """Those of `rows` whose `moment`, the time at which they got their id, lies between the times that are asked for.

    Ids bound what is read, so an old month costs what a new one does. Raises: ApiError.
    """
    return _between(rows, query, moment, rows.model._meta.db_table, moment)


def between_orders(rows: models.QuerySet[M], query: TimedQuery, moment: str) -> models.QuerySet[M]:
    """The same of what has an order's id and, as its `moment`, the order's time. Raises: ApiError."""
    return _between(rows, query, moment, SyncOrder._meta.db_table, "placed_at")


def _between(
    rows: models.QuerySet[M], query: TimedQuery, moment: str, table: str, known_as: str
) -> models.QuerySet[M]:
    from_time, to_time = read_time(query.from_time, "from"), read_time(query.to_time, "to")
    if from_time is not None:
        rows = rows.filter(pk__gte=begin_id(table, known_as, from_time), **{f"{moment}__gte": from_time})
    if to_time is not None:
        rows = rows.filter(pk__lt=end_id(table, known_as, to_time), **{f"{moment}__lt": to_time})
    return rows
