"""The venue's statement of a day, line by line: what is missing or differs is shown, and not closed without a word."""

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from cockpit import day_venue, day_work, days
from cockpit.day_files import TABLES, csv_of
from cockpit.days import DayRefused
from cockpit.models import DayClose
from infra.coordination import clock
from infra.exchange.client import new_exchange
from settlement.models import Conversion, Fill, ReconciliationBreak, VenueAccount, VenueDay, VenueTrade
from settlement.reconciliation import trades, venue_days
from settlement.venues.protocol import VenueError
from tests.support.staff import staff as staff_of
from tests.support.tampering import tampered

PLANT_AND_CHANGE = """
    WITH changed AS (UPDATE settlement_fill SET fee = fee + 0.00000001, price = price * 2 WHERE id = %s)
    INSERT INTO settlement_fill (conversion_id, symbol, venue_trade_id, price, coin, usdt, fee, fee_asset, traded_at)
    SELECT conversion_id, symbol, '999999999', 1, 1, 1, 0, 'USDT', traded_at FROM settlement_fill WHERE id = %s
"""


@pytest.fixture
def somebody(paper_venue, venue_account):
    """Somebody else who trades on the desk's own account."""
    _, key, secret = venue_account
    exchange = new_exchange(
        client="binance", url=paper_venue.url, timeout_seconds=3, apiKey=key, secret=secret
    )
    exchange.load_markets()
    return exchange


def told_of(day):
    return {each.coin: each for each in venue_days.read(day).told}


def test_a_day_that_the_venue_tells_alike_needs_no_note(today, later):
    statement = venue_days.read(today)
    assert {(each.coin, each.outcome, each.differences) for each in statement.told} == {
        ("BTC", "TOLD", 0),
        ("ETH", "TOLD", 0),
    }
    assert statement.lines == []
    fills = Fill.objects.filter(symbol="BTC/USDT")
    sums = {(each.coin, each.what): (each.at_venue, each.booked) for each in statement.sums}
    assert sums["BTC", "trades"] == (str(fills.count()),) * 2
    assert Decimal(sums["BTC", "buy, USDT"][0]) == sum(
        fill.usdt for fill in fills if fill.conversion.side == "buy"
    )
    assert all(theirs == ours for theirs, ours in sums.values())
    assert {what for _, what in sums} >= {"fees in BTC", "buy, coin"}
    closed = days.close(statement=days.state(day=today, by="ann", now=later), by="bob", now=later)
    assert closed.note == ""


def test_asking_again_changes_nothing(today, later, venue):
    before = list(VenueTrade.objects.order_by("pk").values())
    digest = days.digest_of(days.add_up(today))
    venue_days.ask(today, venue=venue, now=later + timedelta(hours=1))
    assert list(VenueTrade.objects.order_by("pk").values()) == before != []
    assert days.digest_of(days.add_up(today)) == digest
    assert VenueDay.objects.count() == 2


def test_trades_of_other_days_are_no_part_of_it(today, later, venue):
    for day in (today - timedelta(days=1), today + timedelta(days=1)):
        venue_days.ask(day, venue=venue, now=later + timedelta(days=1))
        assert venue_days.read(day).sums == []
        assert {each.outcome for each in venue_days.read(day).told} == {"TOLD"}


def test_what_is_missing_on_either_side_or_differs_is_a_line_and_needs_a_note(today, later, venue, somebody):
    order = somebody.create_order("BTC/USDT", "market", "buy", "0.01")
    venue_days.ask(today, venue=venue, now=later)
    first, last = (Fill.objects.filter(symbol="ETH/USDT").order_by(way).first() for way in ("id", "-id"))
    with tampered("desk", "settlement_fill", PLANT_AND_CHANGE, [last.pk, first.pk]):
        statement = days.state(day=today, by="ann", now=later)
        lines = {line.venue_trade_id: line for line in venue_days.read(today).lines}
        [extra] = order["trades"]
        assert lines[extra["id"]].what == "not booked"
        assert lines[extra["id"]].booked == ""
        assert "side buy" in lines[extra["id"]].at_venue
        assert "coin 0.01000000" in lines[extra["id"]].at_venue
        assert lines["999999999"].what == "not at the venue"
        assert "price 1.00000000" in lines["999999999"].booked
        differs = lines[last.venue_trade_id]
        assert differs.what == "differs: price, fee"
        assert differs.at_venue == f"price {last.price:f}, fee {last.fee:f}"
        assert differs.booked == f"price {last.price * 2:f}, fee {last.fee + Decimal('0.00000001'):f}"
        assert len(lines) == 3
        assert {coin: (each.differences, each.unexplained) for coin, each in told_of(today).items()} == {
            "BTC": (1, 1),
            "ETH": (2, 2),
        }

        with pytest.raises(DayRefused, match=r"a note is needed: BTC: 1 .*; ETH: 2 "):
            days.close(statement=statement, by="bob", now=later)
        rows = list(csv.DictReader(io.StringIO("".join(days.file_of(statement)))))
        told = [row for row in rows if row["what"] == "difference from the venue"]
        assert len(told) == 3
        assert all("unexplained" in row["book, cause or customer"] for row in told)
        done = days.close(statement=statement, by="bob", now=later, note=" asked the venue, ticket 12 ")
    assert DayClose.objects.get(pk=done.pk).note == "asked the venue, ticket 12"


def test_what_two_people_have_decided_is_explained(today, later, venue, somebody):
    order = somebody.create_order("BTC/USDT", "market", "buy", "0.01")
    venue_days.ask(today, venue=venue, now=later)
    decided = ReconciliationBreak.objects.create(
        what=trades.NOBODYS,
        where="venue trade",
        detail="",
        symbol="BTC/USDT",
        venue_trade_id=order["trades"][0]["id"],
        since=timezone.now(),
        found_at=timezone.now(),
        seen_at=timezone.now(),
    )
    assert told_of(today)["BTC"].unexplained == 1
    ReconciliationBreak.objects.update(written_off_at=timezone.now())
    assert told_of(today)["BTC"][3:] == (1, 0)
    [line] = venue_days.read(today).lines
    assert line.explained == f"booked by two people (break {decided.pk})"
    statement = days.state(day=today, by="ann", now=later)
    assert day_venue.unexplained(statement.content) == []
    assert days.close(statement=statement, by="bob", now=later)


def test_a_venue_that_does_not_answer_or_cannot_any_more_is_said(today, later, venue, paper_venue):
    day = today + timedelta(days=1)  # which it has not told yet
    paper_venue.add_fault("error_before", method="GET", path="/api/v3/myTrades", status=503)
    venue_days.ask(day, venue=venue, now=later)
    assert {each.outcome for each in told_of(day).values()} == {"SILENT"}
    assert all(each.why for each in told_of(day).values())
    # What it has told of another day stays though it does not answer now.
    venue_days.ask(today, venue=venue, now=later)
    assert {each.outcome for each in told_of(today).values()} == {"TOLD"}
    paper_venue.clear_faults()
    venue_days.ask(day, venue=venue, now=later)
    assert {each.outcome for each in told_of(day).values()} == {"TOLD"}


@pytest.mark.parametrize("why", ["refused", "another account"])
def test_what_a_venue_cannot_tell_any_more_is_no_silence(today, later, venue, monkeypatch, why):
    day = today - timedelta(days=400)
    if why == "refused":

        def refuse(**asked):
            raise VenueError(kind="BadRequest", code="-1100", message="startTime is too far back", status=400)

        monkeypatch.setattr(venue, "trades", refuse)
    else:
        account = VenueAccount.objects.latest("id")
        account.pk, account._state.adding = None, True
        account.adopted_at = timezone.now()
        account.save(force_insert=True)
    venue_days.ask(day, venue=venue, now=later)
    assert {each.outcome for each in told_of(day).values()} == {"GONE"}
    statement = days.state(day=day, by="ann", now=later)
    with pytest.raises(DayRefused, match="a note is needed: BTC: the venue's trades: cannot tell any more: "):
        days.close(statement=statement, by="bob", now=later)
    assert days.close(statement=statement, by="bob", now=later, note="known").note == "known"


def test_a_day_of_which_the_venue_was_never_asked_is_not_closed_silently(past, later):
    day = Conversion.objects.latest("id").planned_at.date()
    VenueDay.objects.all().delete()
    VenueTrade.objects.all().delete()
    statement = days.state(day=day, by="ann", now=later)
    with pytest.raises(DayRefused, match="BTC: the venue's trades: not asked"):
        days.close(statement=statement, by="bob", now=later)


def test_the_page_shows_it_and_takes_the_note(today, later, venue, somebody, monkeypatch):
    monkeypatch.setattr(clock.of("default"), "now", lambda: later)
    operator, approver = (staff_of(role, role=role) for role in ("operator", "approver"))
    operator.post("/admin/days/make/", {"day": today})
    order = somebody.create_order("BTC/USDT", "market", "sell", "0.02")
    day_work.work_off(clock=lambda: later, venue=venue)  # which asks the venue
    page = f"/admin/days/{days.DayStatement.objects.get().pk}/"
    shown = approver.get(page).content.decode()
    for text in ("not booked", order["trades"][0]["id"], "1 of the venue&#x27;s trades and our fills differ"):
        assert text in shown
    assert 'name="note"' in shown
    assert "a note is needed" in approver.post(f"{page}close/", {"note": " "}, follow=True).content.decode()
    approver.post(f"{page}close/", {"note": "a person traded by hand"})
    day_work.work_off(clock=lambda: later, venue=venue)
    assert "Note of approver: a person traded by hand" in approver.get(page).content.decode()
    pdf = approver.get(f"{page}close.pdf")
    assert pdf.status_code == 200


def test_each_line_is_in_the_file_of_the_venues_trades(today):
    rows = list(csv.DictReader(io.StringIO("".join(csv_of(TABLES["venue-trades"], today)))))
    assert {(row["symbol"], row["venue_trade_id"]) for row in rows} == set(
        Fill.objects.values_list("symbol", "venue_trade_id")
    )
    assert sum(Decimal(row["usdt"]) for row in rows) == sum(fill.usdt for fill in Fill.objects.all())
