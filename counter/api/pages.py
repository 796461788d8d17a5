"""Lists by cursor: newest first, each page a range of ids, so that page 10,000 costs what page 1 does."""

from typing import Annotated, TypeVar

from django.db import models
from msgspec import Meta

from counter.api.fields import Query, RowId

M = TypeVar("M", bound=models.Model)


class PageQuery(Query, kw_only=True):
    """What every list takes."""

    cursor: Annotated[RowId, Meta(description="`next_cursor` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Rows in a page.")] = 100


def page_of(rows: models.QuerySet[M], query: PageQuery) -> tuple[list[M], str | None]:
    """One page, newest first, and the cursor of the next, None on the last."""
    if query.cursor is not None:
        rows = rows.filter(pk__lt=query.cursor)
    page = list(rows.order_by("-pk")[: query.limit + 1])
    more = len(page) > query.limit
    page = page[: query.limit]
    return page, str(page[-1].pk) if more else None
