"""The close of a day (UTC): what both books say of it, stated by one person, found right and closed by another.

Guards what was closed: statement and close are append-only in the database, and closing adds the day up once more. What
has changed since it was stated is not closed.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction

from cockpit import venue_statement
from cockpit.day_costs import costs_of
from cockpit.models import DayClose, DayStatement
from counter.money.chart import SystemAccount
from infra.csv_lines import csv_lines, text_cell
from infra.db.rows import rows_of
from ledger.decimals import EXACT
from settlement.book.chart import FEES, PNL, ROUNDING, SUSPENSE

ZERO = Decimal(0)
# Legs are dated before their commit: a day is over for the books a little after its end.
BOOKS_SETTLE = timedelta(minutes=5)
# One reading of each book: by its two accounts first, so that millions of legs become thousands of sums.
ACCOUNTS = """
    WITH flows AS MATERIALIZED (
        SELECT debit_account_id, credit_account_id, created_at >= %(begins)s AS is_of_day, sum(amount) AS amount
        FROM {transfers} WHERE created_at < %(ends)s GROUP BY 1, 2, 3
    ), sides AS (
        SELECT debit_account_id AS account_id, is_of_day, amount AS debit, 0 AS credit FROM flows
        UNION ALL
        SELECT credit_account_id, is_of_day, 0, amount FROM flows
    )
    SELECT a.code, a.asset, a.normal_side,
           coalesce(sum(s.debit - s.credit) FILTER (WHERE NOT s.is_of_day), 0),
           coalesce(sum(s.debit) FILTER (WHERE s.is_of_day), 0), coalesce(sum(s.credit) FILTER (WHERE s.is_of_day), 0)
    FROM {accounts} AS a LEFT JOIN sides AS s ON s.account_id = a.id
    GROUP BY a.id, a.code, a.asset, a.normal_side ORDER BY a.id
"""
BOOKS = {
    "counter": ("default", "counter_account", "counter_transfer"),
    "desk": ("desk", "settlement_deskaccount", "settlement_desktransfer"),
}
# What adding a day up has to read, each in a statement of its own.
STEPS = (
    *(f"accounts of the {book} book" for book in BOOKS),
    "results of the counter book",
    "results of the desk book",
    "costs by customer",
    "trades of the venue",
)
# Gains are positive: credits of an account of results, less its debits.
SPREAD = """
    WITH sums AS (
        SELECT o.customer_id, coalesce(o.underlying, '') AS coin, t.asset,
               sum(CASE WHEN t.credit_account_id = %(spread)s THEN t.amount ELSE -t.amount END) AS amount
        FROM counter_transfer AS t LEFT JOIN counter_syncorder AS o ON o.id = t.order_id
        WHERE t.created_at >= %(begins)s AND t.created_at < %(ends)s
            AND %(spread)s IN (t.credit_account_id, t.debit_account_id)
        GROUP BY 1, 2, 3
    )
    SELECT coalesce(c.reference, ''), s.coin, s.asset, s.amount
    FROM sums AS s LEFT JOIN counter_customer AS c ON c.id = s.customer_id ORDER BY s.customer_id, s.coin, s.asset
"""
RESULTS = """
    SELECT a.code || ', ' || t.kind, coalesce(c.underlying, ''), t.asset,
           sum(CASE WHEN t.credit_account_id = a.id THEN t.amount ELSE -t.amount END)
    FROM settlement_deskaccount AS a
    JOIN settlement_desktransfer AS t ON a.id IN (t.credit_account_id, t.debit_account_id)
    LEFT JOIN settlement_conversion AS c ON c.id = t.conversion_id
    WHERE a.code = ANY(%(codes)s::varchar[]) AND t.created_at >= %(begins)s AND t.created_at < %(ends)s
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

Content = dict[str, Any]


class DayRefused(ValueError):
    """The day cannot be stated or closed like this."""


def state(*, day: date, by: str, now: datetime) -> DayStatement:
    """Add up a day that is over and keep what came of it, by what the venue has told of it so far.

    Raises: DayRefused for a day that is not over or is closed; DatabaseError.
    """
    check_state(day, now=now)
    return enter_statement(day, add_up(day), by=by, now=now)


def close(*, statement: DayStatement, by: str, now: datetime, note: str = "") -> DayClose:
    """Close a day by its newest statement, as a second person; with a `note` on what the venue tells otherwise.

    Raises: DayRefused when it is the same person, the day is closed, the statement is not its newest, does not balance,
    needs a note, or the books have changed since; DatabaseError.
    """
    check_close(statement, by=by, note=note)
    return enter_close(statement, add_up(statement.day), by=by, now=now, note=note)


def check_state(day: date, *, now: datetime) -> None:
    """Whether the day may be stated. Raises: DayRefused; OverflowError for a day without an end."""
    if now < _ends(day) + BOOKS_SETTLE:
        raise DayRefused(
            f"{day} is not over for the books before {_ends(day) + BOOKS_SETTLE:%Y-%m-%d %H:%M} UTC"
        )
    if DayClose.objects.filter(day=day).exists():
        raise DayRefused(f"{day} is closed")


def enter_statement(day: date, content: Content, *, by: str, now: datetime) -> DayStatement:
    """Keep what the day was added up to. Raises: as `state`."""
    check_state(day, now=now)
    return DayStatement.objects.create(
        day=day, content=content, digest=digest_of(content), made_by=by, made_at=now
    )


def check_close(statement: DayStatement, *, by: str, note: str = "") -> None:
    """Whether that person may close the day by that statement; the books are not asked. Raises: DayRefused."""
    if by == statement.made_by:
        raise DayRefused("somebody else than who made the statement has to close the day")
    newest = (
        DayStatement.objects.filter(day=statement.day).order_by("-id").values_list("pk", flat=True).first()
    )
    if newest != statement.pk:
        raise DayRefused("there is a newer statement of the day")
    if not balances(statement.content):
        raise DayRefused("a trial balance is not zero")
    if (open_ := venue_statement.unexplained(statement.content)) and not note.strip():
        raise DayRefused(f"a note is needed: {'; '.join(open_)}")
    if DayClose.objects.filter(day=statement.day).exists():
        raise DayRefused(f"{statement.day} is closed")


def enter_close(
    statement: DayStatement, content: Content, *, by: str, now: datetime, note: str = ""
) -> DayClose:
    """Close the day if `content`, added up anew, is what was stated. Raises: as `close`."""
    check_close(statement, by=by, note=note)
    # A release before may have stated it, with fewer parts.
    content = {part: lines for part, lines in content.items() if part in statement.content}
    if digest_of(content) != statement.digest:
        raise DayRefused("the books have changed since: have the statement made anew")
    try:
        with transaction.atomic():
            return DayClose.objects.create(
                day=statement.day,
                statement=statement,
                made_by=statement.made_by,
                closed_by=by,
                closed_at=now,
                note=note.strip(),
            )
    except IntegrityError as error:
        raise DayRefused(f"{statement.day} is closed") from error


def add_up(
    day: date,
    *,
    note_step: Callable[[int], None] = lambda step: None,
    ask_venue: Callable[[], None] = lambda: None,
) -> Content:
    """Accounts, trial balances and results of a day; amounts are text, with every digit of the books.

    `note_step` is called before each of the STEPS, with how many are done, and `ask_venue` before what the venue has
    told is held against the fills. Raises: DatabaseError.
    """
    span = {"begins": _begins(day), "ends": _ends(day)}
    accounts: list[list[str]] = []
    for step, (book, (alias, table, transfers)) in enumerate(BOOKS.items()):
        note_step(step)
        accounts += (
            [book, code, asset, *_balances(side, opening, debited, credited)]
            for code, asset, side, opening, debited, credited in rows_of(
                alias, ACCOUNTS.format(accounts=table, transfers=transfers), span
            )
        )
    note_step(len(BOOKS))
    customers = rows_of("default", SPREAD, {**span, "spread": int(SystemAccount.SPREAD)})
    note_step(len(BOOKS) + 1)
    of_desk = rows_of("desk", RESULTS, {**span, "codes": [PNL, FEES, ROUNDING, SUSPENSE]})
    results = [*_spread_of_all(customers), *of_desk]
    note_step(len(BOOKS) + 2)
    costs = costs_of(**span, results=of_desk)
    note_step(len(BOOKS) + 3)
    ask_venue()
    of_venue = venue_statement.parts_of(day)
    return {
        "day": day.isoformat(),
        "accounts": accounts,
        "trial": _trial(accounts),
        "results": [[cause, coin, asset, f"{amount:f}"] for cause, coin, asset, amount in results],
        "customers": [[customer, coin, asset, f"{amount:f}"] for customer, coin, asset, amount in customers],
        "costs": costs,
        **of_venue,
    }


def balances(content: dict[str, Any]) -> bool:
    """Whether each book balances: of each asset debits and credits of the day, and what is on both sides at its end."""
    return all(
        Decimal(debited) == Decimal(credited) and not Decimal(rest)
        for *_, debited, credited, rest in content["trial"]
    )


def digest_of(content: dict[str, Any]) -> str:
    """SHA-256 of the content, in any order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_of(statement: DayStatement) -> Iterator[str]:
    """The day as CSV: every account with its opening, debits, credits and closing, trial balances and results."""
    content = statement.content
    rows = [
        *(["account", *row] for row in content["accounts"]),
        *(
            ["trial balance", book, "", asset, "", debited, credited, rest, ""]
            for book, asset, debited, credited, rest in content["trial"]
        ),
        *(
            ["result", cause, coin, asset, "", "", "", amount, ""]
            for cause, coin, asset, amount in content["results"]
        ),
        *(
            ["spread of a customer", customer, coin, asset, "", "", "", amount, ""]
            for customer, coin, asset, amount in content.get("customers", [])
        ),
        *(
            ["cost of a customer", f"{customer}, {cause}", coin, asset, "", "", "", amount, ""]
            for customer, coin, cause, asset, amount in content.get("costs", [])
        ),
        *venue_statement.file_rows(content),
        ["digest", statement.digest, "", "", "", "", "", "", ""],
    ]
    heading = [
        "what",
        "book, cause or customer",
        "account or coin",
        "asset",
        "opening",
        "debits",
        "credits",
        "closing or amount",
        "side",
    ]
    return csv_lines(
        heading, ([text_cell(cell) if not _is_amount(cell) else cell for cell in row] for row in rows)
    )


def _is_amount(cell: str) -> bool:
    return cell.removeprefix("-").replace(".", "", 1).isdecimal()


def _balances(side: str, opening: Decimal, debited: Decimal, credited: Decimal) -> list[str]:
    """Opening, debits, credits and closing on the account's normal side, and which that is."""
    closing = EXACT.subtract(EXACT.add(opening, debited), credited)
    return [_on(side, opening), f"{debited:f}", f"{credited:f}", _on(side, closing), side]


def _on(side: str, debit_less_credit: Decimal) -> str:
    """A balance on a side; zero has no sign."""
    return f"{debit_less_credit if side == 'D' else EXACT.subtract(ZERO, debit_less_credit):f}"


def _spread_of_all(customers: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The spread by coin and asset, of all customers together."""
    sums: dict[tuple[str, str], Decimal] = {}
    for _, coin, asset, amount in customers:
        sums[coin, asset] = EXACT.add(sums.get((coin, asset), ZERO), amount)
    return [("spread", coin, asset, amount) for (coin, asset), amount in sorted(sums.items())]


def _trial(accounts: list[list[str]]) -> list[list[str]]:
    """Of each asset of each book: debits and credits of the day, and debit less credit balances at its end."""
    sums: dict[tuple[str, str], list[Decimal]] = {}
    for book, _, asset, _, debited, credited, closing, side in accounts:
        total = sums.setdefault((book, asset), [ZERO] * 3)
        signed = Decimal(closing) if side == "D" else EXACT.subtract(ZERO, Decimal(closing))
        for place, amount in enumerate((Decimal(debited), Decimal(credited), signed)):
            total[place] = EXACT.add(total[place], amount)
    return [
        [book, asset, *(f"{amount:f}" for amount in total)] for (book, asset), total in sorted(sums.items())
    ]


def _begins(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _ends(day: date) -> datetime:
    return _begins(day) + timedelta(days=1)
