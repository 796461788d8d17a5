"""Kill switches on a real database: what they stop, for whom, who may throw them, and what is kept of it."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone

from counter.market.firm_quotes import OpenQuoteRequest, give
from counter.market.quotes import current_quotes
from counter.models import TradingStatus, TradingStatusChange, TradingSwitch, TradingSwitchChange
from counter.models.switches import ALL_COINS
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, CloseRequest, OpenRequest, RejectCode
from counter.trading.status import trading_by_coin
from counter.trading.switches import State, SwitchRefused, newest_id, throw
from tests.support.factories import make_customer, make_option, place_open, unique
from tests.support.staff import staff

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def btc():
    return make_option(now=NOW)


@pytest.fixture
def eth():
    return make_option(underlying="ETH", now=NOW)


@pytest.fixture
def customer():
    return make_customer(now=NOW)


def thrown(underlying, to, reason="a test", by="ann"):
    return throw(underlying=underlying, to=to, reason=reason, by=by, now=NOW)


def tried_open(customer, option, quote_id=None):
    request = OpenRequest(customer.pk, unique("o"), option.symbol, 1, quote_id=quote_id)
    return told(request)


def tried_close(opened, quote_id=None):
    request = CloseRequest(opened.customer_id, unique("c"), position_id=opened.id, contracts=1)
    return told(request)


def told(request):
    [outcome] = place_orders(requests=[request], now=NOW)
    return "accepted" if isinstance(outcome, Accepted) else str(outcome.code)


STOPPED = str(RejectCode.TRADING_STOPPED)


def test_a_stopped_coin_takes_no_opens_and_all_closes_and_the_other_coin_everything(customer, btc, eth):
    opened = place_open(customer, btc, contracts=3, now=NOW)
    thrown("BTC", State.OPENS_STOPPED)
    assert (tried_open(customer, btc), tried_close(opened)) == (STOPPED, "accepted")
    assert tried_open(customer, eth) == "accepted"
    thrown("BTC", State.ALL_STOPPED)
    assert (tried_open(customer, btc), tried_close(opened)) == (STOPPED, STOPPED)
    assert tried_open(customer, eth) == "accepted"
    thrown("BTC", State.OPENS_STOPPED)
    assert (tried_open(customer, btc), tried_close(opened)) == (STOPPED, "accepted")
    thrown("BTC", State.RUNNING)
    assert (tried_open(customer, btc), tried_close(opened)) == ("accepted", "accepted")


def test_the_switch_of_all_coins_stops_each_and_leaves_their_own_as_they_are(customer, btc, eth):
    opened = [place_open(customer, option, contracts=3, now=NOW) for option in (btc, eth)]
    thrown("BTC", State.OPENS_STOPPED)
    thrown(ALL_COINS, State.ALL_STOPPED)
    assert {tried_open(customer, option) for option in (btc, eth)} == {STOPPED}
    assert {tried_close(order) for order in opened} == {STOPPED}
    thrown(ALL_COINS, State.RUNNING)
    assert [tried_open(customer, option) for option in (btc, eth)] == [STOPPED, "accepted"]


def test_a_firm_quote_is_no_way_round(customer, btc):
    asked = OpenQuoteRequest(customer.pk, btc.symbol, 1)
    quote = give(request=asked, now=NOW)
    thrown("BTC", State.OPENS_STOPPED)
    assert tried_open(customer, btc, quote_id=quote.pk) == STOPPED
    assert give(request=asked, now=NOW).code == STOPPED


def test_quotes_say_so_and_show_no_price_that_nobody_would_get(btc, eth):
    def shown():
        quotes = current_quotes(now=NOW)
        return {
            quote.quote.option.underlying: (
                str(quote.trading.state),
                quote.trading.reasons,
                quote.cost is not None,
                quote.proceeds is not None,
            )
            for quote in quotes
        }

    thrown("BTC", State.OPENS_STOPPED)
    assert shown() == {
        "BTC": ("HALTED", ("trading_stopped",), False, True),
        "ETH": ("NORMAL", (), True, True),
    }
    thrown(ALL_COINS, State.ALL_STOPPED)
    assert set(shown().values()) == {("HALTED", ("trading_stopped",), False, False)}


def test_a_coin_that_is_contained_too_says_both(btc):
    TradingStatus.objects.create(
        underlying="BTC", state="WIDE", spread_rate="0.02", reasons=["exposure"], since=NOW, judged_at=NOW
    )
    thrown("BTC", State.OPENS_STOPPED)
    trading = trading_by_coin(now=NOW)["BTC"]
    assert (trading.state, trading.reasons) == ("HALTED", ("trading_stopped", "exposure"))


def test_every_throw_is_kept_and_nothing_of_it_can_be_changed():
    assert thrown("BTC", State.OPENS_STOPPED, reason=" the index is wrong ")
    assert not thrown("BTC", State.OPENS_STOPPED)
    assert thrown("BTC", State.RUNNING, reason="it is right", by="bob")
    rows = TradingSwitchChange.objects.order_by("pk").values_list(
        "from_state", "to_state", "reason", "by", "at"
    )
    assert list(rows) == [
        ("RUNNING", "OPENS_STOPPED", "the index is wrong", "ann", NOW),
        ("OPENS_STOPPED", "RUNNING", "it is right", "bob", NOW),
    ]
    for change in (
        lambda: TradingSwitchChange.objects.update(by="eve"),
        TradingSwitchChange.objects.all().delete,
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


@pytest.mark.parametrize(("underlying", "reason"), [("BTC", "  "), ("DOGE", "why not"), ("", "why not")])
def test_no_reason_or_no_such_coin_and_nothing_is_thrown(underlying, reason):
    with pytest.raises(SwitchRefused):
        thrown(underlying, State.ALL_STOPPED, reason=reason)
    assert not TradingSwitch.objects.exclude(state="RUNNING").exists()


@pytest.mark.parametrize(
    ("underlying", "to", "state", "is_closed"),
    [
        ("BTC", State.OPENS_STOPPED, "halted", True),
        (ALL_COINS, State.OPENS_STOPPED, "halted", True),
        ("BTC", State.ALL_STOPPED, "stopped", False),
        ("ETH", State.ALL_STOPPED, "normal", True),
    ],
)
def test_quotes_of_the_api_say_what_a_switch_leaves(client, underlying, to, state, is_closed):
    make_option(now=timezone.now())
    throw(underlying=underlying, to=to, reason="a test", by="ann", now=timezone.now())
    [quote] = client.get("/api/v1/quotes").json()["results"]
    assert (quote["coin_state"], quote["proceeds"] is not None) == (state, is_closed)
    assert (quote["cost"] is None) == (state != "normal")
    assert quote["coin_reasons"] == ([] if state == "normal" else ["trading_stopped"])


# --- in the admin ---------------------------------------------------------------------------------------------------


def pressed(client, to, reason="a test"):
    switch = TradingSwitch.objects.get(underlying="BTC")
    address = reverse("admin:counter_tradingswitch_throw", args=[switch.pk])
    status = client.post(address, {"state": to, "reason": reason, "after": newest_id("BTC")}).status_code
    return status, TradingSwitch.objects.get(underlying="BTC").state


def test_operators_stop_and_approvers_resume():
    operator, approver, viewer = (staff(role, role=role) for role in ("operator", "approver", "viewer"))
    changes = reverse("admin:counter_tradingswitch_changelist")
    assert viewer.get(changes).status_code == 200
    assert not TradingSwitch.objects.exists(), "who may only look changes nothing by it"
    assert operator.get(changes).status_code == 200
    assert set(TradingSwitch.objects.values_list("underlying", flat=True)) == {"*", "BTC", "ETH"}
    assert pressed(viewer, "OPENS_STOPPED") == (403, "RUNNING")
    assert pressed(approver, "OPENS_STOPPED") == (403, "RUNNING")
    assert pressed(operator, "OPENS_STOPPED", reason=" ") == (302, "RUNNING")
    assert pressed(operator, "NONSENSE") == (302, "RUNNING")
    assert pressed(operator, "OPENS_STOPPED") == (302, "OPENS_STOPPED")
    assert pressed(operator, "RUNNING") == (403, "OPENS_STOPPED")
    assert pressed(operator, "ALL_STOPPED") == (302, "ALL_STOPPED")
    assert pressed(operator, "OPENS_STOPPED") == (403, "ALL_STOPPED")
    assert pressed(approver, "RUNNING") == (302, "RUNNING")
    assert list(TradingSwitchChange.objects.order_by("pk").values_list("by", flat=True)) == [
        *("operator", "operator", "approver")
    ]


def test_a_switch_that_was_thrown_meanwhile_is_looked_at_again():
    thrown("BTC", State.ALL_STOPPED)
    with pytest.raises(SwitchRefused, match="meanwhile"):
        throw(underlying="BTC", to=State.RUNNING, reason="r", by="b", now=NOW, seen=State.OPENS_STOPPED)


def test_its_page_offers_what_the_person_looking_may_do():
    operator, approver, viewer = (staff(role, role=role) for role in ("operator", "approver", "viewer"))
    thrown("BTC", State.OPENS_STOPPED, reason="<b>wrong</b>")
    page = reverse(
        "admin:counter_tradingswitch_change", args=[TradingSwitch.objects.get(underlying="BTC").pk]
    )
    texts = {
        name: client.get(page).content.decode()
        for name, client in {"operator": operator, "approver": approver, "viewer": viewer}.items()
    }
    assert "Stop closes too" in texts["operator"]
    assert "Resume trading" not in texts["operator"]
    assert "Resume trading" in texts["approver"]
    assert "Stop closes too" not in texts["approver"]
    for button in ("Stop closes too", "Resume trading…", "Take back", "Ask to resume: BTC"):
        assert button not in texts["viewer"]
    assert "Who can: <strong>approver</strong>" in texts["viewer"]
    assert all("&lt;b&gt;wrong" in text for text in texts.values())


@pytest.mark.django_db(databases=["default", "desk"])
def test_before_a_switch_is_thrown_its_page_names_what_stops_and_what_goes_on():
    operator, approver = (staff(role, role=role) for role in ("operator", "approver"))
    assert operator.get("/admin/").status_code == 200  # which makes the switches
    option, customer = make_option(), make_customer()
    place_open(customer, option, contracts=7)
    place_open(customer, make_option(underlying="ETH"), contracts=5)
    pages = {name: confirm(operator, name, State.OPENS_STOPPED) for name in ("*", "BTC")}
    assert "This stops, for BTC and ETH" in pages["*"]
    assert (
        "closing positions of BTC and ETH, by 1 customer with 2 open positions (12 contracts)" in pages["*"]
    )
    assert "This stops, for BTC<" in pages["BTC"]
    assert "closing positions of BTC, by 1 customer with 1 open position (7 contracts)" in pages["BTC"]
    stops, goes_on = pages["BTC"].split('aria-label="Goes on"')
    assert "opening positions" in stops
    assert "closing positions" not in stops
    assert "closing positions" in goes_on
    stops, goes_on = confirm(operator, "BTC", State.ALL_STOPPED).split('aria-label="Goes on"')
    assert "closing positions" in stops
    assert "positions wait" in goes_on
    thrown("BTC", State.ALL_STOPPED)
    assert "an operator stops it again" in confirm(approver, "BTC", State.RUNNING)


def confirm(client, name, to):
    switch = TradingSwitch.objects.get(underlying=name)
    answer = client.get(reverse("admin:counter_tradingswitch_confirm", args=[switch.pk]), {"state": to})
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.django_db(databases=["default", "desk"])
def test_the_first_page_leads_to_what_a_person_may_throw_and_nobody_else_there():
    operator, approver, viewer = (staff(role, role=role) for role in ("operator", "approver", "viewer"))
    first = operator.get("/admin/").content.decode()
    assert first.count(">stop opens…<") == first.count(">stop opens and closes…<") == 3
    assert "resume…" not in first
    thrown("BTC", State.OPENS_STOPPED, reason="a wrong price")
    page = approver.get("/admin/figures/").content.decode()
    assert (page.count(">stop opens"), page.count("resume…"), page.count("stopped: see…")) == (0, 1, 1)
    assert "a wrong price" in page
    seen = viewer.get("/admin/figures/").content.decode()
    assert (">stop opens" in seen, "resume…" in seen, "stopped: see…" in seen) == (False, False, True)
    switch = TradingSwitch.objects.get(underlying="BTC")
    address = reverse("admin:counter_tradingswitch_confirm", args=[switch.pk])
    assert viewer.get(address, {"state": "RUNNING"}).status_code == 403
    assert operator.get(address, {"state": "RUNNING"}).status_code == 403
    for nothing in ("", "NONSENSE", "OPENS_STOPPED"):
        assert approver.get(address, {"state": nothing}).status_code == 302


# --- at the console -------------------------------------------------------------------------------------------------


def said(*arguments):
    out = StringIO()
    call_command("trading", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_stops_shows_and_resumes():
    assert "Nothing is stopped" in said("show")
    assert "BTC: opens stopped" in said("stop", "BTC", "--reason", "the index")
    assert "all coins: all stopped" in said("stop", "all", "--closes", "--reason", "the desk")
    assert "so already" in said("stop", "all", "--closes", "--reason", "again")
    shown = said("resume", "BTC", "--reason", "well again")
    assert "all coins" in shown
    assert "BTC:" not in shown
    assert TradingSwitch.objects.get(underlying="BTC").since <= timezone.now()
    with pytest.raises(CommandError):
        call_command("trading", "stop", "BTC")


def test_the_command_admits_all_of_a_coin_and_paces_it_again():
    TradingStatus.objects.create(underlying="BTC", spread_rate="0.005", since=NOW, judged_at=NOW)
    assert "Of BTC everything is admitted" in said("unpace", "BTC", "--reason", "the desk is being moved")
    assert "so already" in said("unpace", "BTC", "--reason", "again")
    assert not TradingStatus.objects.get().is_paced
    assert "Of BTC" not in said("pace", "BTC", "--reason", "moved")
    assert TradingStatus.objects.get().is_paced
    assert [change.why for change in TradingStatusChange.objects.order_by("id")] == [
        "everything is admitted: the desk is being moved",
        "paced by the desk: moved",
    ]
    with pytest.raises(CommandError, match="was not judged yet"):
        said("unpace", "ETH", "--reason", "nobody knows it")
    with pytest.raises(CommandError, match="a reason is needed"):
        said("pace", "BTC", "--reason", " ")
