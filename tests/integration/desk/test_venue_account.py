"""The desk's books are of one venue account: to another one nothing is sent, and nothing of it is believed."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

import audit
from settlement import reconciliation
from settlement.book.chart import CAPITAL, VENUE
from settlement.conversions import sweep as recovery
from settlement.funds import treasury, venue_account
from settlement.funds.venue_account import CannotAdopt, OtherAccount
from settlement.models import Conversion, VenueAccount, VenueHalt
from settlement.venues import ccxt_venue, halts
from tests.support.desk_bench import POST, Desk, assert_books_agree, book_balances, event, states, take_in
from tests.support.fixtures import account_of
from tests.support.tampering import broken
from tests.support.venue import PaperVenue

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])


@pytest.fixture
def other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Another account at the same venue, as a changed key would lead to."""
    monkeypatch.setattr(venue_account, "SWEPT_AFTER_SECONDS", 0)
    return account_of(desk.paper)


def sweep(venue: Any) -> None:
    recovery.resume(venue=venue, now=timezone.now())


def halt() -> VenueHalt | None:
    return halts.standing("binance")


def orders_at(desk: Desk) -> int:
    return len(desk.paper.state()["orders"])


def test_the_account_is_stored_when_the_books_are_opened(desk):
    [stored] = VenueAccount.objects.all()
    assert (stored.venue, stored.account_id) == ("binance", desk.venue.account_id())
    assert stored.account_id.isdecimal()
    desk.settle(event())
    sweep(desk.venue.real)
    assert VenueAccount.objects.count() == 1


def test_nothing_is_sent_to_another_account_and_one_message_says_what_to_do(desk, other):
    desk.settle(event())
    before = orders_at(desk)
    take_in(event())
    own = desk.venue
    desk.venue = other
    with pytest.raises(OtherAccount):
        desk.convert()
    standing = halt()
    assert standing is not None
    assert standing.reason.startswith("another account: the books are of ")
    for said in (own.account_id(), other.account_id(), "VENUE_URL", "manage.py adopt_venue_account"):
        assert said in standing.reason
    for _ in range(3):
        sweep(other)
    with pytest.raises(halts.VenueHalted):
        desk.convert()
    with pytest.raises(halts.VenueHalted):
        treasury.start(
            asset="BTC", amount=Decimal(1), direction="to_trading", venue=other, now=timezone.now()
        )
    assert (orders_at(desk), VenueHalt.objects.count()) == (before, 1)


def test_a_sweep_notices_it_before_any_order_and_stops_all_processes(desk, other):
    sweep(other)
    take_in(event())
    with pytest.raises(halts.VenueHalted):
        desk.convert()  # a process that still has the right key
    assert halts.lift_by_hand(VenueHalt.objects.all(), by="ann", now=timezone.now()) == 0


def test_the_right_account_lets_it_go_on_by_itself(desk, other):
    take_in(event())
    sweep(other)
    assert halt() is not None
    sweep(desk.venue.real)
    assert halt() is None
    assert desk.convert().state == Conversion.State.FILLED


def test_an_order_under_way_is_not_looked_for_in_another_account(desk, other):
    desk.paper.add_fault("reply_lost", **POST)
    take_in(event())
    lost = desk.convert()
    assert lost.state == Conversion.State.UNKNOWN
    due_at = lost.due_at
    for after in (10, 20, 40, 80):
        recovery.resume(venue=other, now=timezone.now() + timedelta(seconds=after))
    lost.refresh_from_db()
    assert (lost.state, lost.misses, lost.due_at) == (Conversion.State.UNKNOWN, 0, due_at)
    with pytest.raises(CannotAdopt, match=f"conversion {lost.pk}"):
        venue_account.adopt(other, by="ann", why="moved", now=timezone.now())
    sweep(desk.venue.real)
    desk.resume(after=100)
    assert states() == ["BOOKED"]
    assert_books_agree(desk)


def test_a_halt_of_another_kind_is_replaced_and_a_restored_desk_stays_held(desk, other):
    halts.begin(venue="binance", reason="a ban", now=timezone.now())
    sweep(other)
    assert halt().reason.startswith(halts.OTHER_ACCOUNT)
    sweep(desk.venue.real)
    halts.begin(venue="binance", reason=halts.RESTORED, now=timezone.now())
    sweep(other)
    assert halt().reason == halts.RESTORED


def test_audit_and_reconciliation_do_not_take_another_accounts_wallets_for_its_own(desk, other):
    desk.settle(event())
    report = audit.run(now=timezone.now(), venue=other)
    assert "another account" in report.result(5).unchecked
    assert broken(report).get(5, set()) == set()
    run = reconciliation.reconcile(venue=other, clock=timezone.now, by="test")
    assert (run.open, "another account" in run.unchecked) == (0, True)


def test_books_that_were_open_before_take_the_account_they_meet_first(desk):
    with connections["desk"].cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM settlement_venueaccount")
        cursor.execute("RESET session_replication_role")
    venue_account._agreed_at.clear()
    desk.settle(event())
    [stored] = VenueAccount.objects.all()
    assert (stored.account_id, stored.why) == (desk.venue.account_id(), "the first that these books met")


def test_an_account_is_adopted_and_its_wallets_are_booked_against_the_capital(desk, other, monkeypatch):
    desk.settle(event())
    sweep(other)
    monkeypatch.setattr(ccxt_venue, "_venue", other)
    before, said = book_balances(), StringIO()
    call_command("adopt_venue_account", stdout=said)
    assert "Nothing was changed" in said.getvalue()
    assert (book_balances(), VenueAccount.objects.count()) == (before, 1)
    call_command("adopt_venue_account", because="the old key was lost", stdout=said)
    newest = VenueAccount.objects.latest("id")
    assert (newest.account_id, newest.why) == (other.account_id(), "the old key was lost")
    assert halt() is None
    books = book_balances()
    for wallet, code in (("trading", VENUE), ("reserve", "inventory")):
        for asset, held in other.balances(wallet).items():
            assert books.get((code, asset), 0) == held
    moved = books[CAPITAL, "BTC"] - before[CAPITAL, "BTC"]
    assert moved == books[VENUE, "BTC"] - before[VENUE, "BTC"]
    with pytest.raises(CommandError, match="already"):
        call_command("adopt_venue_account", because="again", stdout=said)
    desk.venue = other
    desk.settle(event())
    assert broken(audit.run(now=timezone.now(), venue=other)) == {}
    with pytest.raises(OtherAccount):
        venue_account.require(account_of(desk.paper), now=timezone.now())


def test_a_venue_that_tells_no_account_is_said_so_and_does_not_stop(desk, monkeypatch, caplog):
    with connections["desk"].cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM settlement_venueaccount")
        cursor.execute("RESET session_replication_role")
    venue_account._agreed_at.clear()
    exchange = desk.venue.real._exchange()
    ask = exchange.fetch_balance

    def nameless(terms: Any) -> Any:
        answer = ask(terms)
        del answer["info"]["uid"]
        return answer

    monkeypatch.setattr(exchange, "fetch_balance", nameless)
    desk.settle(event())
    assert VenueAccount.objects.get().account_id == ""
    assert "tells no account" in caplog.text


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[Callable[[str], PaperVenue]]:
    """Paper venues by their journals' names, the one before stopped."""
    running: list[PaperVenue] = []

    def start(journal: str) -> PaperVenue:
        while running:
            running.pop().stop()
        running.append(PaperVenue.start("--journal", str(tmp_path / journal)))
        return running[-1]

    yield start
    while running:
        running.pop().stop()


def test_a_paper_venues_account_is_its_journals(starting):
    def told(journal: str) -> str:
        return account_of(starting(journal), ("test1", "key1", "secret1")).account_id()

    first = told("one")
    assert told("one") == first
    assert told("another") != first
    assert account_of(starting("one"), ("test2", "key2", "secret2")).account_id() != first
