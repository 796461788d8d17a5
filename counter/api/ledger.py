"""The customer's ledger: by page, as CSV, and in the sums of a month."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import ClassVar

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from counter.api.errors import ApiError
from counter.api.ids import row_before
from counter.api.ledger_csv import csv_of
from counter.api.ledger_messages import (
    LONGEST_RANGE,
    LedgerCsvQuery,
    LedgerPage,
    LedgerQuery,
    MonthlyStatementBody,
    ledger_entry_body,
    monthly_statement_body,
)
from counter.api.openapi import READING_ERRORS, answers, described
from counter.api.parsers import query_of
from counter.api.renderers import MessageRenderer
from counter.api.times import read_time
from counter.api.views import CustomerView
from counter.models import Account
from counter.money.monthly import monthly_statement
from counter.money.statements import IdRange, all_entries, ids_between, ledger_entries
from counter.public_ids import Kind, public_id

MONTH = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"
# A slow reader keeps a thread for as long: some are left to everybody else.
DOWNLOADS_AT_ONCE = 2
LAST_TIME = datetime.max.replace(tzinfo=UTC)


def _account_id(customer_id: int) -> int:
    found = Account.objects.filter(customer_id=customer_id).values_list("pk", flat=True).first()
    if found is None:
        raise ApiError("account_not_found")
    return found


class LedgerView(CustomerView):
    """The customer's ledger."""

    @extend_schema(
        operation_id="list_ledger_entries",
        tags=["account"],
        parameters=[described(LedgerQuery)],
        responses=answers(READING_ERRORS, {200: LedgerPage}),
        summary="List own ledger entries, newest first",
    )
    def get(self, request: Request) -> Response:
        """Every movement on the account with the balance it left, and the order that it belongs to."""
        query = query_of(request, LedgerQuery)
        account_id = _account_id(self.customer_id)
        within = ids_between(
            account_id=account_id,
            from_time=read_time(query.from_time, "from"),
            to_time=read_time(query.to_time, "to"),
        )
        before = row_before(Kind.LEDGER_ENTRY, query.cursor)
        if before is not None:
            within = IdRange(within.first, min(within.end, before))
        entries = ledger_entries(account_id=account_id, within=within, limit=query.limit + 1)
        page = entries[: query.limit]
        next_cursor = public_id(Kind.LEDGER_ENTRY, page[-1].id) if len(entries) > query.limit else None
        return Response(LedgerPage([ledger_entry_body(entry) for entry in page], next_cursor))


class CsvRenderer(BaseRenderer):
    """Lets requests in that accept CSV alone; the answer is written without it."""

    media_type = "text/csv"
    format = "csv"


class _Download:
    """The lines of an answer, which gives its customer's place back when it is closed, read or not.

    A customer has one place, so that nobody takes all of them.
    """

    taken: ClassVar[set[int]] = set()  # by customer
    _taking = Lock()

    def __init__(self, customer_id: int, lines: Iterator[str]) -> None:
        with self._taking:
            if customer_id in self.taken:
                raise ApiError("overloaded", "the ledger is read from this process already")
            if len(self.taken) >= DOWNLOADS_AT_ONCE:
                raise ApiError(
                    "overloaded", f"{DOWNLOADS_AT_ONCE} ledgers are read from this process already"
                )
            self.taken.add(customer_id)
        self._customer_id = customer_id
        self._lines = lines
        self._is_open = True

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def close(self) -> None:
        """Called by Django at the end of the request."""
        if self._is_open:
            self._is_open = False
            with self._taking:
                self.taken.discard(self._customer_id)


class LedgerCsvView(CustomerView):
    """The customer's ledger as a file."""

    renderer_classes = [CsvRenderer, MessageRenderer]  # errors are JSON
    http_method_names = ["get", "head"]  # OPTIONS would be answered by a renderer

    @extend_schema(
        operation_id="download_ledger",
        tags=["account"],
        # `format` is REST framework's own, for addresses that have several.
        parameters=[described(LedgerCsvQuery), OpenApiParameter("format", exclude=True)],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            **{
                (status, "application/json"): answer
                for status, answer in answers((*READING_ERRORS, "range_invalid", "overloaded"), {}).items()
            },
        },
        summary="Download own ledger entries as CSV, oldest first",
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """At most 366 days. `spread` and `fee` stand once for each order, beside its main entry."""
        query = query_of(request, LedgerCsvQuery)
        from_time, to_time = read_time(query.from_time, "from"), read_time(query.to_time, "to")
        assert from_time is not None  # noqa: S101 - it has to be given
        if to_time is None:
            to_time = from_time + min(LONGEST_RANGE, LAST_TIME - from_time)
        if not timedelta(0) <= to_time - from_time <= LONGEST_RANGE:
            raise ApiError("range_invalid", path="$.to")
        account_id = _account_id(self.customer_id)
        within = ids_between(account_id=account_id, from_time=from_time, to_time=to_time)
        lines = csv_of(all_entries(account_id=account_id, within=within))
        name = f"ledger-{from_time:%Y%m%d}-{to_time:%Y%m%d}.csv"
        return StreamingHttpResponse(
            _Download(self.customer_id, lines),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


class StatementView(CustomerView):
    """A month of the customer's ledger."""

    @extend_schema(
        operation_id="read_statement",
        tags=["account"],
        parameters=[
            OpenApiParameter(
                "month",
                {"type": "string", "pattern": MONTH},
                OpenApiParameter.PATH,
                description="Year and month by UTC, as in 2026-11.",
            )
        ],
        responses=answers(READING_ERRORS, {200: MonthlyStatementBody}),
        summary="Read own statement of a month",
    )
    def get(self, request: Request, month: str) -> Response:
        """Sums that add up from the opening balance to the closing one; of this month, so far."""
        if not re.fullmatch(MONTH[1:-1], month):
            raise ApiError("not_found", "a month is written as in 2026-11")
        year, number = month.split("-")
        account_id = _account_id(self.customer_id)
        return Response(
            monthly_statement_body(
                monthly_statement(account_id=account_id, year=int(year), month=int(number))
            )
        )
