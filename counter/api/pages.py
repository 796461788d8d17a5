"""Lists by cursor: newest first, each page a range of ids, so that page 10,000 costs what page 1 does."""

from typing import Annotated, TypeVar

from django.db import models
from msgspec import Meta

from counter.api.fields import Query
from counter.api.ids import row_before
from counter.public_ids import Kind, public_id

M = TypeVar("M", bound=models.Model)


class PageQuery(Query, kw_only=True):
    """What every list takes."""

    cursor: str | None = None  # each list says how its own is written
    limit: Annotated[int, Meta(ge=1, le=500, description="Rows in a page.")] = 100


def page_of(rows: models.QuerySet[M], query: PageQuery, kind: Kind) -> tuple[list[M], str | None]:
    """One page of rows of a kind, newest first, and the cursor of the next, None on the last. Raises: ApiError."""
    before = row_before(kind, query.cursor)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    page = list(rows.order_by("-pk")[: query.limit + 1])
    more = len(page) > query.limit
    page = page[: query.limit]
    return page, public_id(kind, page[-1].pk) if more else None
