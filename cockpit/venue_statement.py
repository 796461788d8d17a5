"""What a day's statement says of the venue's: whether it has told its trades, their sums beside ours, what differs."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from cockpit.numbers import exact_text
from ledger.decimals import EXACT
from settlement.models import VenueStatement
from settlement.reconciliation import venue_differences, venue_statement
from settlement.venues.protocol import Venue

Content = dict[str, Any]
TOLD = VenueStatement.Outcome.TOLD
SAID: dict[str, str] = dict(VenueStatement.Outcome.choices)


def ask(day: date, *, venue: Venue, now: datetime) -> None:
    """Ask the venue for its statement of a day, outside any transaction. Raises: DatabaseError."""
    venue_statement.ask(day, venue=venue, now=now)


def parts_of(day: date) -> Content:
    """The parts of a statement's content that are of the venue, in text. Raises: DatabaseError."""
    found = venue_differences.read(day)
    return {
        "venue": [[*told[:3], str(told.differences), str(told.unexplained)] for told in found.told],
        "venue_sums": [list(each) for each in found.sums],
        "venue_lines": [list(line) for line in found.lines],
    }


def unexplained(content: Content) -> list[str]:
    """What the closer of the day has to add a note on, in sentences; nothing of a statement that is older than this."""
    said = []
    for coin, outcome, why, _, count in content.get("venue", []):
        if outcome != TOLD:
            said.append(f"{coin}: the venue's trades: {_said(outcome, why)}")
        elif int(count):
            said.append(f"{coin}: {int(count):,} of the venue's trades and our fills differ, unexplained")
    return said


def told_lines(content: Content) -> list[tuple[str, ...]]:
    """By coin: what the venue said, differences and unexplained ones, which nobody knows where it said nothing."""
    return [
        (coin, _said(outcome, why), *(f"{int(each):,}" if outcome == TOLD else "–" for each in counts))
        for coin, outcome, why, *counts in content.get("venue", [])
    ]


def sum_lines(content: Content) -> list[tuple[str, ...]]:
    """By coin: trades, amounts and fees at the venue, by our fills, and the difference."""
    return [
        (
            coin,
            what,
            exact_text(Decimal(theirs)),
            exact_text(Decimal(ours)),
            exact_text(EXACT.subtract(Decimal(theirs), Decimal(ours))),
        )
        for coin, what, theirs, ours in content.get("venue_sums", [])
    ]


def file_rows(content: Content) -> list[list[str]]:
    """The rows of the day's file: of nine cells, as `cockpit.days.file_of` has them."""
    return [
        *(
            [
                "venue's statement",
                _said(outcome, why),
                coin,
                "",
                "",
                "",
                "",
                differences if outcome == TOLD else "",
                "",
            ]
            for coin, outcome, why, differences, _ in content.get("venue", [])
        ),
        *(
            [who, what, coin, "", "", "", "", amount, ""]
            for coin, what, theirs, ours in content.get("venue_sums", [])
            for who, amount in (("at the venue", theirs), ("by our fills", ours))
        ),
        *(
            [
                "difference from the venue",
                "; ".join(
                    part
                    for part in (
                        what,
                        theirs and f"venue: {theirs}",
                        ours and f"booked: {ours}",
                        explained or "unexplained",
                    )
                    if part
                ),
                coin,
                f"trade {trade_id}",
                *[""] * 5,
            ]
            for coin, trade_id, what, theirs, ours, explained in content.get("venue_lines", [])
        ),
    ]


def _said(outcome: str, why: str) -> str:
    word = SAID.get(outcome, outcome)
    return f"{word}: {why}" if why else word
