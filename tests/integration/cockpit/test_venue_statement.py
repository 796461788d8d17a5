"""The venue's statement of a day, line by line: what is missing or differs is shown, and not closed without a note."""

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from cockpit import day_work, days
from cockpit import venue_statement as of_day
from cockpit.day_files import TABLES, csv_of
from cockpit.days import DayRefused
from cockpit.models import DayClose
from infra.coordination import clock
from settlement.models import Conversion, Fill, ReconciliationBreak, VenueAccount, VenueStatement, VenueTrade
from settlement.reconciliation import trades, venue_differences, venue_statement
from settlement.venues import trade_pages
from settlement.venues.protocol import VenueError
from tests.support.staff import staff as staff_of
from tests.support.tampering import tampered

PLANT_AND_CHANGE = """
    WITH changed AS (UPDATE settlement_fill SET fee = fee + 0.00000001, price = price * 2 WHERE id = %s)
    INSERT INTO settlement_fill (conversion_id, symbol, venue_trade_id, price, coin, usdt, fee, fee_asset, traded_at)
    SELECT conversion_id, symbol, '999999999', 1, 1, 1, 0, 'USDT', traded_at FROM settlement_fill WHERE id = %s
"""


def break_of(what, trade_id, **figures):
    """What reconciliation has found of a trade of BTC."""
    now = timezone.now()
    times = {"since": now, "found_at": now, "seen_at": now}
    return ReconciliationBreak.objects.create(
        what=what, where="venue trade", symbol="BTC/USDT", venue_trade_id=trade_id, **times, **figures
    )


def told_of(day):
    return {each.coin: each for each in venue_differences.read(day).told}


def test_a_day_that_the_venue_tells_alike_needs_no_note(today, later):
    statement = venue_differences.read(today)
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
    venue_statement.ask(today, venue=venue, now=later + timedelta(hours=1))
    assert list(VenueTrade.objects.order_by("pk").values()) == before != []
    assert days.digest_of(days.add_up(today)) == digest
    assert VenueStatement.objects.count() == 2


def test_trades_of_other_days_are_no_part_of_it(today, later, venue):
    for day in (today - timedelta(days=1), today + timedelta(days=1)):
        venue_statement.ask(day, venue=venue, now=later + timedelta(days=1))
        assert venue_differences.read(day).sums == []
        assert {each.outcome for each in venue_differences.read(day).told} == {"TOLD"}


def test_what_is_missing_on_either_side_or_differs_is_a_line_and_needs_a_note(today, later, venue, somebody):
    order = somebody.create_order("BTC/USDT", "market", "buy", "0.01")
    venue_statement.ask(today, venue=venue, now=later)
    first, last = (Fill.objects.filter(symbol="ETH/USDT").order_by(way).first() for way in ("id", "-id"))
    with tampered("desk", "settlement_fill", PLANT_AND_CHANGE, [last.pk, first.pk]):
        statement = days.state(day=today, by="ann", now=later)
        lines = {line.venue_trade_id: line for line in venue_differences.read(today).lines}
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
    venue_statement.ask(today, venue=venue, now=later)
    [trade] = VenueTrade.objects.filter(venue_trade_id=order["trades"][0]["id"])
    effect = trades.effect_of("BTC", trade)
    decided = break_of(
        trades.NOBODYS,
        trade.venue_trade_id,
        effect=[[code, of, f"{it.normalize():f}"] for code, of, it in effect],
    )
    assert told_of(today)["BTC"].unexplained == 1
    ReconciliationBreak.objects.update(written_off_at=timezone.now())
    assert told_of(today)["BTC"][3:] == (1, 0)
    [line] = venue_differences.read(today).lines
    assert line.explained == f"booked by two people (break {decided.pk})"
    statement = days.state(day=today, by="ann", now=later)
    assert of_day.unexplained(statement.content) == []
    # The venue tells it otherwise now: of that nobody has said anything.
    trade.coin *= 2
    trade.save()
    assert told_of(today)["BTC"][3:] == (1, 1)
    trade.coin /= 2
    trade.save()
    assert days.close(statement=statement, by="bob", now=later)


def test_what_was_accepted_explains_the_same_figures_and_no_later_ones(today, venue):
    fill = Fill.objects.filter(symbol="BTC/USDT").first()
    trade = VenueTrade.objects.get(symbol=fill.symbol, venue_trade_id=fill.venue_trade_id)
    fee = fill.fee + Decimal("0.1")
    with tampered(
        "desk", "settlement_fill", "UPDATE settlement_fill SET fee = %s WHERE id = %s", [fee, fill.pk]
    ):
        figures = [trade.venue_order_id, fill.price, fill.coin, fill.usdt, fee, fill.fee_asset]
        # Of a venue that leaves out zeros.
        shorter = [each.normalize() if isinstance(each, Decimal) else each for each in figures]
        booked, at_venue = (
            trades.Content(*figures),
            trades.Content(*shorter)._replace(fee=trade.fee.normalize()),
        )
        accepted = break_of(
            trades.DIFFERS,
            fill.venue_trade_id,
            detail=trades.difference_of(booked, at_venue),
            accepted_at=timezone.now(),
        )
        [line] = venue_differences.read(today).lines
        assert (line.what, line.explained) == (
            "differs: fee",
            f"accepted by two people (break {accepted.pk})",
        )
        assert told_of(today)["BTC"][3:] == (1, 0)
        for changed in ({"price": trade.price}, {"fee": trade.fee}):
            [name] = changed
            VenueTrade.objects.filter(pk=trade.pk).update(**{name: changed[name] * 2 + 1})
            assert told_of(today)["BTC"][3:] == (1, 1)
            assert [each.explained for each in venue_differences.read(today).lines] == [""]
            VenueTrade.objects.filter(pk=trade.pk).update(**changed)
        assert told_of(today)["BTC"][3:] == (1, 0)
        VenueTrade.objects.filter(pk=trade.pk).update(side="sell" if trade.side == "buy" else "buy")
        assert told_of(today)["BTC"][3:] == (1, 1)


def test_a_fill_that_was_accepted_without_its_trade_is_explained_by_its_figures(today, venue):
    fill = Fill.objects.filter(symbol="BTC/USDT").first()
    trade = VenueTrade.objects.get(symbol=fill.symbol, venue_trade_id=fill.venue_trade_id)
    content = trades.Content(trade.venue_order_id, fill.price, fill.coin, fill.usdt, fill.fee, fill.fee_asset)
    trade.delete()
    break_of(trades.NOT_AT_VENUE, fill.venue_trade_id, detail=str(content), accepted_at=timezone.now())
    assert told_of(today)["BTC"][3:] == (1, 0)
    ReconciliationBreak.objects.update(detail=str(content._replace(coin=fill.coin * 2)))
    assert told_of(today)["BTC"][3:] == (1, 1)


def test_differences_are_counted_whole_and_shown_in_part(today, later, monkeypatch):
    booked = Fill.objects.count()
    VenueTrade.objects.all().delete()
    monkeypatch.setattr(venue_differences, "LINES_SHOWN", 1)
    statement = venue_differences.read(today)
    assert len(statement.lines) == 1 < booked
    assert sum(each.differences for each in statement.told) == booked
    assert sum(each.unexplained for each in statement.told) == booked


def test_a_coin_that_is_no_longer_traded_is_counted_and_needs_a_note(today, later, settings):
    fills = Fill.objects.filter(symbol="ETH/USDT")
    VenueTrade.objects.filter(symbol="ETH/USDT").delete()
    settings.COINS = {"BTC": "BTC/USDT"}
    assert told_of(today)["ETH"][3:] == (fills.count(), fills.count())
    statement = days.state(day=today, by="ann", now=later)
    with pytest.raises(DayRefused, match="a note is needed: ETH: "):
        days.close(statement=statement, by="bob", now=later)
    # One that the venue was not asked about before it left is not silently closed either.
    VenueStatement.objects.filter(underlying="ETH").delete()
    assert told_of(today)["ETH"][1:] == ("not asked", "", 0, 0)
    statement = days.state(day=today, by="ann", now=later)
    with pytest.raises(DayRefused, match="a note is needed: ETH: the venue's trades: not asked"):
        days.close(statement=statement, by="bob", now=later)


@pytest.mark.parametrize("outcome", ["SILENT", "GONE", "not asked"])
def test_of_a_day_that_the_venue_has_not_told_nothing_is_said_line_by_line(today, later, outcome):
    assert Fill.objects.exists()
    VenueTrade.objects.all().delete()
    if outcome == "not asked":
        VenueStatement.objects.all().delete()
    else:
        VenueStatement.objects.update(outcome=outcome)
    statement = days.state(day=today, by="ann", now=later)
    assert statement.content["venue_lines"] == statement.content["venue_sums"] == []
    assert {tuple(each[3:]) for each in statement.content["venue"]} == {("0", "0")}
    assert [each[1] for each in statement.content["venue"]] == [outcome] * 2
    assert {each[2:] for each in of_day.told_lines(statement.content)} == {("–", "–")}
    file = "".join(days.file_of(statement))
    assert "not at the venue" not in file
    told = [row for row in csv.DictReader(io.StringIO(file)) if row["what"] == "venue's statement"]
    assert {row["closing or amount"] for row in told} == {""}


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_a_day_is_kept_page_by_page_and_what_is_not_told_again_is_gone(
    today, later, venue, monkeypatch, page
):
    monkeypatch.setattr(trade_pages, "HISTORY_PAGE", page)
    monkeypatch.setattr(trade_pages, "PAGE_PAUSE_SECONDS", 0)
    before = list(VenueTrade.objects.order_by("pk").values())
    for number, each in enumerate(VenueTrade.objects.all()):
        each.pk, each.venue_trade_id = None, f"never {number}"
        each.save(force_insert=True)
    VenueTrade.objects.filter(pk=before[0]["id"]).update(fee=99)
    venue_statement.ask(today, venue=venue, now=later)
    assert list(VenueTrade.objects.order_by("pk").values()) == before != []
    VenueTrade.objects.all().delete()
    venue_statement.ask(today, venue=venue, now=later)
    strip = [{name: it for name, it in each.items() if name != "id"} for each in before]
    again = VenueTrade.objects.order_by("pk").values(*strip[0])
    assert sorted(again, key=str) == sorted(strip, key=str)


def test_a_reading_that_breaks_off_leaves_no_half_of_a_statement(today, later, venue, monkeypatch):
    monkeypatch.setattr(trade_pages, "HISTORY_PAGE", 1)
    monkeypatch.setattr(trade_pages, "PAGE_PAUSE_SECONDS", 0)
    before = list(VenueTrade.objects.order_by("pk").values())
    ask, kept = venue.page_of_trades, []

    def breaks_off(*, after="", **asked):
        if after:
            kept.append(VenueTrade.objects.count())
            raise VenueError(kind="RequestTimeout", message="no answer")
        return ask(after=after, **asked)

    monkeypatch.setattr(venue, "page_of_trades", breaks_off)
    venue_statement.ask(today, venue=venue, now=later)
    assert list(VenueTrade.objects.order_by("pk").values()) == before  # told to the end before
    VenueTrade.objects.all().delete()
    VenueStatement.objects.all().delete()
    kept.clear()
    venue_statement.ask(today, venue=venue, now=later)
    assert kept == [1, 1]  # a page of each coin was kept before the next was asked for
    assert not VenueTrade.objects.exists()
    assert {each.outcome for each in told_of(today).values()} == {"SILENT"}
    assert venue_differences.read(today).lines == []


def test_a_venue_that_does_not_answer_is_said(today, later, venue, paper_venue):
    day = today + timedelta(days=1)  # which it has not told yet
    paper_venue.add_fault("error_before", method="GET", path="/api/v3/myTrades", status=503)
    venue_statement.ask(day, venue=venue, now=later)
    assert {each.outcome for each in told_of(day).values()} == {"SILENT"}
    assert all(each.why for each in told_of(day).values())
    # What it has told of another day stays though it does not answer now.
    venue_statement.ask(today, venue=venue, now=later)
    assert {each.outcome for each in told_of(today).values()} == {"TOLD"}
    paper_venue.clear_faults()
    venue_statement.ask(day, venue=venue, now=later)
    assert {each.outcome for each in told_of(day).values()} == {"TOLD"}


@pytest.mark.parametrize("why", ["refused", "another account"])
def test_what_is_no_longer_available_is_no_silence(today, later, venue, monkeypatch, why):
    day = today - timedelta(days=400)
    if why == "refused":

        def refuse(**asked):
            raise VenueError(kind="BadRequest", code="-1100", message="startTime is too far back", status=400)

        monkeypatch.setattr(venue, "page_of_trades", refuse)
    else:
        account = VenueAccount.objects.latest("id")
        account.pk, account._state.adding = None, True
        account.adopted_at = timezone.now()
        account.save(force_insert=True)
    venue_statement.ask(day, venue=venue, now=later)
    assert {each.outcome for each in told_of(day).values()} == {"GONE"}
    statement = days.state(day=day, by="ann", now=later)
    with pytest.raises(DayRefused, match="a note is needed: BTC: the venue's trades: no longer available: "):
        days.close(statement=statement, by="bob", now=later)
    assert days.close(statement=statement, by="bob", now=later, note="known").note == "known"


def test_a_day_of_which_the_venue_was_never_asked_is_not_closed_silently(past, later):
    day = Conversion.objects.latest("id").planned_at.date()
    VenueStatement.objects.all().delete()
    VenueTrade.objects.all().delete()
    assert venue_differences.read(day).lines == []
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
