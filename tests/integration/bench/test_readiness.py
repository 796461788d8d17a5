"""What has to be back before anything is measured: each thing that is missing is named, and nothing else is."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from counter.models import Quote, TradingStatus
from infra.broker.canary import note_return
from infra.models import Canary, Lease
from settlement.book.legs import Legs
from tests.support.factories import make_customer, make_option, place_open
from tools.bench import readiness
from tools.stack import StackFailed

pytestmark = pytest.mark.django_db(databases=["default", "desk"])
SECOND = timedelta(seconds=1)


@pytest.fixture
def ready_stack():
    """Both systems as they are while all programs run."""
    now = timezone.now()
    for coin in settings.COINS:
        make_option(underlying=coin, now=now)
        TradingStatus.objects.create(
            underlying=coin, spread_rate=settings.SPREAD_RATE, since=now, judged_at=now
        )
    for using, names in readiness.LEADERS.items():
        for name in names:
            Lease.objects.using(using).create(name=name, token=1, holder="here", won_at=now, renewed_at=now)
    for queue in settings.WORKER_QUEUES:
        note_return(queue=queue, sent_at=now.isoformat())
    with transaction.atomic(using="desk"):
        legs = Legs(now=now)
        legs.add("capital", "USDT", debit="venue", credit="capital", amount=Decimal(1))
        legs.post()


def missing(*, canaries_within_seconds: float = 10.0) -> list[str]:
    return readiness.missing(now=timezone.now(), canaries_within_seconds=canaries_within_seconds)


def test_nothing_is_missing_from_a_stack_that_works(ready_stack):
    assert missing() == []


def test_a_new_stack_lacks_everything():
    lacking = missing()
    for told in ("books", "no beat leads", "no feed leads", "no intake leads", "BTC has no quotes", "canary"):
        assert any(told in each for each in lacking), told


@pytest.mark.parametrize(("name", "using"), [("beat", "default"), ("feed", "default"), ("intake", "desk")])
def test_a_leader_that_was_paused_has_to_lead_again(ready_stack, name, using):
    Lease.objects.using(using).filter(name=name).update(renewed_at=timezone.now() - 10 * SECOND)
    assert missing() == [f"no {name} leads"]


def test_quotes_have_to_be_fresh_for_every_coin(ready_stack):
    Quote.objects.filter(option__underlying="ETH").update(quoted_at=timezone.now() - 10 * SECOND)
    assert missing() == ["quotes of ETH are 10 s old"]


def test_a_coin_that_is_halted_or_wide_is_waited_for_with_its_reasons(ready_stack):
    TradingStatus.objects.filter(underlying="BTC").update(state="HALTED", reasons=["quotes_stale"])
    TradingStatus.objects.filter(underlying="ETH").update(state="WIDE", reasons=["reopening"])
    assert missing() == ["BTC is HALTED (quotes_stale)", "ETH is WIDE (reopening)"]


def test_a_coin_that_nobody_watches_is_halted(ready_stack):
    TradingStatus.objects.update(judged_at=timezone.now() - timedelta(hours=1))
    assert missing() == ["BTC is HALTED (unwatched)", "ETH is HALTED (unwatched)"]


def test_orders_are_paced_by_the_desk_and_all_admitted_before_anything_is_measured(ready_stack):
    """Of a coin that is let go nothing would be refused, of one whose desk is behind too much."""
    TradingStatus.objects.filter(underlying="BTC").update(admitted_permille=300)
    TradingStatus.objects.filter(underlying="ETH").update(is_paced=False)
    assert sorted(missing()) == [
        "300 of 1,000 orders of BTC are admitted",
        "orders of ETH are not paced by the desk",
    ]


def test_a_canary_of_before_the_pause_proves_nothing(ready_stack):
    Canary.objects.filter(queue="settle").update(returned_at=timezone.now() - 5 * SECOND)
    assert missing() == []
    assert missing(canaries_within_seconds=4.0) == ["no canary is back from the queue settle"]


def test_orders_of_the_measurement_before_have_to_be_reported(ready_stack):
    place_open(make_customer(), make_option())
    assert missing() == ["1 orders are not reported"]


def test_what_is_missing_is_said_and_in_the_end_an_error(ready_stack, monkeypatch):
    TradingStatus.objects.filter(underlying="BTC").update(state="HALTED", reasons=["quotes_stale"])
    monkeypatch.setattr(readiness, "READY_WITHIN_SECONDS", 0.5)
    monkeypatch.setattr(readiness, "SAYS_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(readiness, "_send_canaries", lambda: None)
    told: list[str] = []
    with pytest.raises(StackFailed, match=r"batch: the stack is not ready after 1 s: .*BTC is HALTED"):
        readiness.wait(what="batch", tell=told.append)
    assert "BTC is HALTED (quotes_stale)" in told[0]
