"""The close of a day as PDF: what its page says, with when it was stated and closed, and by whom."""

from collections.abc import Iterator
from datetime import datetime

from cockpit import days, venue_statement
from cockpit.day_lines import account_lines, amount_text, cost_lines, customer_lines, venue_fact
from cockpit.models import DayClose, DayStatement
from infra.pdf import Section, pdf_of

LINES_IN_PDF = 100


def pdf(statement: DayStatement, closed: DayClose | None, *, now: datetime) -> bytes:
    """The file, printed `now`; of customers what the page has, in one line and the largest. The CSV has each."""
    return pdf_of(
        f"Close of {statement.day} (UTC)", list(_facts(statement, closed, now)), list(_sections(statement))
    )


def _facts(statement: DayStatement, closed: DayClose | None, now: datetime) -> Iterator[str]:
    yield f"Stated by {statement.made_by} at {statement.made_at:%Y-%m-%d %H:%M:%S} UTC."
    if closed is None:
        yield "Not closed."
    else:
        yield f"Closed by {closed.closed_by} at {closed.closed_at:%Y-%m-%d %H:%M:%S} UTC."
        if closed.note:
            yield f"Their note: {closed.note}"
    yield (
        "Both books balance in every asset."
        if days.balances(statement.content)
        else "A trial balance is not zero: the day cannot be closed."
    )
    yield f"SHA-256 {statement.digest}"
    # Of another time than what was stated and closed, and not in the digest.
    yield f"As of this print, {now:%Y-%m-%d %H:%M:%S} UTC, and no part of the above: {venue_fact(statement.day)}"


def _sections(statement: DayStatement) -> Iterator[Section]:
    content = statement.content
    yield Section(
        "Results by cause and coin; gains are positive",
        ("cause", "coin", "asset", "amount"),
        [(cause, coin, asset, amount_text(amount)) for cause, coin, asset, amount in content["results"]],
        numbers=1,
        widths=(5, 1, 1, 2),
        empty="nothing was settled",
    )
    customers = content.get("customers", [])
    yield Section(
        f"Spread by customer and coin, the largest of {len({row[0] for row in customers})} customers",
        ("customer", "coin", "asset", "amount"),
        customer_lines(customers),
        numbers=1,
        widths=(5, 1, 1, 2),
        empty="nobody traded",
    )
    yield Section(
        "Slippage, fees and rounding by customer and coin, the largest",
        ("customer", "cause", "coin", "asset", "amount"),
        cost_lines(content.get("costs", [])),
        numbers=1,
        widths=(4, 3, 1, 1, 2),
        empty="nothing was converted",
    )
    yield Section(
        "The venue's statement of the day against our fills, by coin",
        ("coin", "the venue's trades", "differences", "unexplained"),
        venue_statement.told_lines(content),
        numbers=2,
        widths=(1, 5, 2, 2),
        empty="the statement is older than these lines",
    )
    yield Section(
        "Trades, amounts and fees",
        ("coin", "what", "at the venue", "by our fills", "difference"),
        venue_statement.sum_lines(content),
        numbers=3,
        widths=(1, 3, 3, 3, 2),
        empty="nothing was traded",
    )
    lines = content.get("venue_lines", [])
    yield Section(
        f"Differences, the first {LINES_IN_PDF} of {sum(int(each[3]) for each in content.get('venue', []))}",
        ("coin", "trade", "what", "at the venue", "booked", "explained"),
        [tuple(line) for line in lines[:LINES_IN_PDF]],
        numbers=0,
        widths=(1, 2, 2, 4, 4, 2),
        empty="none",
    )
    yield Section(
        "Trial balances",
        ("book", "asset", "debits", "credits", "debit less credit balances"),
        [(book, asset, *map(amount_text, amounts)) for book, asset, *amounts in content["trial"]],
        numbers=3,
    )
    yield Section(
        "Accounts, each positive on its normal side",
        ("book", "account", "asset", "opening", "debits", "credits", "closing"),
        account_lines(content["accounts"]),
        numbers=4,
        widths=(2, 5, 2, 4, 4, 4, 4),
    )
