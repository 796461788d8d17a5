"""The close of a day adds up to the last digit, is closed by two people, and refuses to change."""

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import Sum

from cockpit import day_costs, days
from cockpit.days import DayRefused
from cockpit.models import DayClose, DayStatement
from counter.models import Account, SyncOrder, Transfer
from infra.exchange.client import new_exchange
from ledger.posting import balances as balances_of
from settlement.models import Allocation, Conversion, DeskAccount, DeskTransfer, Fill, ReconciliationRun
from tests.support import desk
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.staff import staff as staff_of

NOTHING = Decimal(0)


def amounts(content, book):
    return {
        (code, asset): [Decimal(each) for each in row]
        for of, code, asset, *row, _ in content["accounts"]
        if of == book
    }


def test_every_account_of_both_books_closes_at_what_its_book_says(today):
    content = days.add_up(today)
    for book, accounts, transfers in (("counter", Account, Transfer), ("desk", DeskAccount, DeskTransfer)):
        said = {(code, asset): amount for _, code, asset, amount in balances_of(accounts, transfers)}
        assert {key: closing for key, (*_, closing) in amounts(content, book).items()} == said
    assert days.balances(content)
    assert not {
        amount
        for row in content["accounts"]
        for amount in row[3:-1]
        if amount.startswith("-0") and not Decimal(amount)
    }
    assert {(book, asset) for book, asset, *_ in content["trial"]} >= {("counter", "USDT"), ("desk", "BTC")}


def test_what_a_day_opens_with_is_what_the_day_before_closed_with(today):
    before, of_day, after = (days.add_up(today + timedelta(days=number)) for number in (-1, 0, 1))
    for book in ("counter", "desk"):
        closed = {key: closing for key, (*_, closing) in amounts(of_day, book).items()}
        assert {key: opening for key, (opening, *_) in amounts(after, book).items()} == closed
        opened = {key: opening for key, (opening, *_) in amounts(of_day, book).items()}
        assert {key: closing for key, (*_, closing) in amounts(before, book).items()} == opened


@pytest.mark.parametrize("back", [0, 1])
def test_results_by_cause_and_coin_add_up_to_the_accounts_of_results(today, back):
    content = days.add_up(today - timedelta(days=back))
    found = {}
    for cause, coin, asset, amount in content["results"]:
        code = cause.split(",")[0]
        found[code, asset] = found.get((code, asset), NOTHING) + Decimal(amount)
        assert coin in ("BTC", "ETH")
    for book, codes in (
        ("counter", {"spread"}),
        ("desk", {"pnl:conversion", "fees", "rounding", "suspense"}),
    ):
        for (code, asset), (_, debited, credited, _) in amounts(content, book).items():
            if code in codes:
                assert found.get((code, asset), NOTHING) == credited - debited, code
    if not back:
        assert content["results"]


def test_two_people_close_a_day_and_then_nothing_changes_it(today, later):
    statement = days.state(day=today, by="ann", now=later)
    with pytest.raises(DayRefused, match="somebody else"):
        days.close(statement=statement, by="ann", now=later)
    done = days.close(statement=statement, by="bob", now=later)
    assert str(done) == f"{today} closed by ann and bob"
    for refused in (
        lambda: days.close(statement=statement, by="tom", now=later),
        lambda: days.state(day=today, by="ann", now=later),
    ):
        with pytest.raises(DayRefused, match="is closed"):
            refused()
    for table in ("cockpit_daystatement", "cockpit_dayclose"):
        for change in (f"UPDATE {table} SET made_by = 'eve'", f"DELETE FROM {table}"):
            with (
                pytest.raises(DatabaseError, match="append-only"),
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                cursor.execute(change)


def test_books_that_have_changed_since_are_not_closed(today, later):
    statement = days.state(day=today, by="ann", now=later)
    leg = Transfer.objects.latest("id")
    Transfer.objects.create(
        debit_account=leg.debit_account,
        credit_account=leg.credit_account,
        asset=leg.asset,
        amount=Decimal("0.000001"),
        kind=leg.kind,
        created_at=leg.created_at,
    )
    with pytest.raises(DayRefused, match="have changed since"):
        days.close(statement=statement, by="bob", now=later)
    again = days.state(day=today, by="ann", now=later)
    with pytest.raises(DayRefused, match="a newer statement"):
        days.close(statement=statement, by="bob", now=later)
    days.close(statement=again, by="bob", now=later)
    assert [each.statement_id for each in DayClose.objects.all()] == [again.pk]


def test_a_day_that_does_not_balance_is_not_closed(today, later):
    content = days.add_up(today)
    content["trial"][0][-1] = "0.00000001"
    statement = DayStatement.objects.create(
        day=today, content=content, digest=days.digest_of(content), made_by="ann", made_at=later
    )
    with pytest.raises(DayRefused, match="trial balance"):
        days.close(statement=statement, by="bob", now=later)


def test_a_day_is_not_stated_before_its_books_have_settled(today):
    midnight = days._ends(today)
    with pytest.raises(DayRefused, match="not over"):
        days.state(day=today, by="ann", now=midnight + timedelta(minutes=4))
    assert not DayStatement.objects.exists()
    assert days.state(day=today, by="ann", now=midnight + timedelta(minutes=5)).pk


def test_the_file_has_every_account_and_sums_to_the_trial_balance(today, later):
    statement = days.state(day=today, by="ann", now=later)
    rows = list(csv.DictReader(io.StringIO("".join(days.file_of(statement)))))
    accounts = [row for row in rows if row["what"] == "account"]
    assert len(accounts) == Account.objects.count() + DeskAccount.objects.count()
    for trial in (row for row in rows if row["what"] == "trial balance"):
        of = [
            row
            for row in accounts
            if (row["book, cause or customer"], row["asset"])
            == (trial["book, cause or customer"], trial["asset"])
        ]
        for side in ("debits", "credits"):
            assert sum(Decimal(row[side]) for row in of) == Decimal(trial[side])
    assert rows[-1]["book, cause or customer"] == statement.digest


def test_the_spread_by_customer_is_that_of_their_orders_and_adds_up_to_the_spread(today, later):
    content = days.add_up(today)
    found = {(customer, coin): Decimal(amount) for customer, coin, _, amount in content["customers"]}
    orders = SyncOrder.objects.filter(placed_at__date=today).values_list("customer__reference", "underlying")
    # A payout at fill bears no spread of its own.
    paid = orders.exclude(kind="CLOSE", payout="at_fill").annotate(sum=Sum("spread"))
    assert found == {
        (customer, coin): total
        for customer, coin, total in paid.order_by().values_list("customer__reference", "underlying", "sum")
    }
    assert found
    by_coin = {coin: Decimal(amount) for cause, coin, _, amount in content["results"] if cause == "spread"}
    for coin, amount in by_coin.items():
        assert sum(each for (_, of), each in found.items() if of == coin) == amount
    statement = days.state(day=today, by="ann", now=later)
    rows = list(csv.DictReader(io.StringIO("".join(days.file_of(statement)))))
    assert len([row for row in rows if row["what"] == "spread of a customer"]) == len(found)


def test_what_the_release_before_has_stated_is_closed_by_what_it_says(today, later):
    content = days.add_up(today)
    del content["customers"]
    statement = DayStatement.objects.create(
        day=today, content=content, digest=days.digest_of(content), made_by="ann", made_at=later
    )
    assert "".join(days.file_of(statement))
    assert staff_of("vic", role="viewer").get(f"/admin/days/{statement.pk}/").status_code == 200
    assert days.close(statement=statement, by="bob", now=later).pk


def test_a_part_that_this_release_does_not_know_is_refused_with_a_word(today, later):
    content = days.add_up(today) | {"of a later release": []}
    statement = DayStatement.objects.create(
        day=today, content=content, digest=days.digest_of(content), made_by="ann", made_at=later
    )
    with pytest.raises(DayRefused, match="made anew"):
        days.close(statement=statement, by="bob", now=later)


def test_a_day_that_was_closed_while_it_was_added_up_anew_is_not_stated(today, later):
    content = days.add_up(today)
    days.close(statement=days.state(day=today, by="ann", now=later), by="bob", now=later)
    with pytest.raises(DayRefused, match="is closed"):
        days.enter_statement(today, content, by="tom", now=later)
    assert DayStatement.objects.count() == 1


def test_a_desk_that_does_not_answer_leaves_no_half_statement(today, later, desk_away):
    with pytest.raises(DatabaseError):
        days.state(day=today, by="ann", now=later)
    assert not DayStatement.objects.exists()
    connections["desk"].close()


def costs_by_cause(content):
    """What the lines by customer add up to, with that without one, by cause, coin and asset."""
    found = {}
    for _, coin, cause, asset, amount in content["costs"]:
        key = cause.split(",")[0], coin, asset
        found[key] = found.get(key, NOTHING) + Decimal(amount)
    return {key: amount for key, amount in found.items() if amount}


def legs_by_cause(content):
    causes = {"pnl:conversion, slippage": "slippage", "fees, fee": "fees", "rounding, rounding": "rounding"}
    return {
        (causes[cause], coin, asset): Decimal(amount)
        for cause, coin, asset, amount in content["results"]
        if cause in causes and Decimal(amount)
    }


def not_by_order(content, coin):
    return {
        (cause, asset): Decimal(amount)
        for customer, of, cause, asset, amount in content["costs"]
        if customer == "" and of == coin
    }


def test_costs_by_customer_add_up_to_the_legs_and_name_each_customer(today):
    """Each cause in every asset, to the last digit; without a customer is what a price's last digit leaves."""
    content = days.add_up(today)
    assert {line[0] for line in content["costs"]} - {""} == set(
        SyncOrder.objects.filter(state="SETTLED").values_list("customer__reference", flat=True)
    )
    assert costs_by_cause(content) == legs_by_cause(content) != {}
    for coin in ("BTC", "ETH"):
        shares = Allocation.objects.filter(conversion__underlying=coin)
        by_customer = [
            Decimal(amount)
            for _, of, cause, _, amount in content["costs"]
            if of == coin and cause in ("fees", "fees, borne by the customer")
        ]
        assert sum(by_customer) == -sum(share.fee for share in shares) < 0
        rounding = legs_by_cause(content).get(("rounding", coin, "USDT"), NOTHING)
        left = rounding - sum(share.rounding for share in shares)
        assert not_by_order(content, coin) == ({("rounding, not by order", "USDT"): left} if left else {})


def test_a_fee_in_a_third_asset_is_in_the_shares_by_its_worth_and_in_the_legs_as_it_was_taken(
    today, venue, paper_venue, venue_account
):
    _, key, secret = venue_account
    exchange = new_exchange(
        client="binance", url=paper_venue.url, timeout_seconds=3, apiKey=key, secret=secret
    )
    exchange.sapi_post_bnbburn({"spotBNBBurn": "true"})
    opened = place_open(make_customer(), make_option(), contracts=300)
    desk.run_desk(venue)
    place_close(opened, contracts=200, payout="at_fill")
    desk.run_desk(venue)
    content = days.add_up(DeskTransfer.objects.latest("id").created_at.date())
    in_bnb = Fill.objects.filter(fee_asset="BNB", fee__gt=0)
    assert in_bnb.count() >= 2
    left = not_by_order(content, "BTC")
    assert left["fees, not by order", "BNB"] == -sum(fill.fee for fill in in_bnb)
    assert left["fees, not by order", "USDT"] == sum(fill.fee_usdt for fill in in_bnb) > 0
    assert costs_by_cause(content) == legs_by_cause(content)


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_shares_are_read_some_at_a_time_and_add_up_to_the_same(today, monkeypatch, at_once):
    costs, read, counts = days.add_up(today)["costs"], day_costs.rows_of, []

    def counted(using, sql, parameters):
        rows = read(using, sql, parameters)
        if sql == day_costs.SHARES:
            counts.append(len(rows))
        return rows

    monkeypatch.setattr(day_costs, "SHARES_AT_ONCE", at_once)
    monkeypatch.setattr(day_costs, "rows_of", counted)
    assert days.add_up(today)["costs"] == costs != []
    assert sum(counts) == Allocation.objects.count()
    assert max(counts) <= max(at_once, *Conversion.objects.values_list("order_count", flat=True))
    assert len(counts) > 1


def test_costs_are_of_the_day_that_booked_them_however_late(today):
    """A conversion whose id lies among those of the day before, booked a day later."""
    of = Conversion.objects.filter(state="BOOKED").earliest("id")
    leg = DeskTransfer.objects.filter(conversion_id=of.pk, kind="slippage").latest("id")
    booked_at = days._ends(today)
    Conversion.objects.filter(pk=of.pk).update(booked_at=booked_at)
    leg.pk, leg.created_at = None, booked_at
    leg.save(force_insert=True)
    late = days.add_up(today + timedelta(days=1))["costs"]
    slippage = [Decimal(amount) for _, _, cause, _, amount in late if cause == "slippage"]
    assert sum(slippage) == sum(share.slippage for share in Allocation.objects.filter(conversion=of)) != 0


def test_a_statement_of_the_release_before_is_closed_by_the_parts_it_has(today, later):
    content = days.add_up(today)
    del content["costs"]
    statement = DayStatement.objects.create(
        day=today, content=content, digest=days.digest_of(content), made_by="ann", made_at=later
    )
    assert days.close(statement=statement, by="bob", now=later).statement == statement


def test_the_page_says_how_far_fills_were_held_against_the_venues_trades(today, later):
    statement = days.state(day=today, by="ann", now=later)
    page, viewer = f"/admin/days/{statement.pk}/", staff_of("vic", role="viewer")
    assert "have not been held against" in viewer.get(page).content.decode()
    ends = days._ends(today)
    for until, unchecked in (
        (ends - timedelta(seconds=1), ""),
        (ends, "the venue did not answer"),
        (ends, ""),
    ):
        assert "have not been held against" in viewer.get(page).content.decode()
        ReconciliationRun.objects.create(
            at=later,
            seconds=1,
            by="test",
            trades_until=until,
            orders_until=0,
            legs_until=0,
            balances={},
            checked=5,
            found=2,
            closed=0,
            open=2,
            in_flight=0,
            unchecked=unchecked,
        )
    assert "2 differences were open" in viewer.get(page).content.decode()


def test_a_desk_that_does_not_answer_leaves_the_page(today, later, desk_away):
    content = {"accounts": [], "trial": [], "results": []}
    statement = DayStatement.objects.create(
        day=today, content=content, digest=days.digest_of(content), made_by="ann", made_at=later
    )
    page = staff_of("vic", role="viewer").get(f"/admin/days/{statement.pk}/").content.decode()
    assert "database does not answer" in page
