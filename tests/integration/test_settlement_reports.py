"""Settlement reports: each is taken exactly once, what contradicts is refused, a payout at fill is deposited once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import msgspec
import pytest

from counter.contracts import SettlementReport
from counter.models import Account, Position, SyncOrder, Transfer
from counter.money.chart import SystemAccount
from counter.orders import outbox
from counter.orders.settlements import take_reports
from ledger.posting import balances, trial_balance
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.threads import at_once

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)


def report_of(order, *, due=None, conversion_id=7):
    due = order.fair if due is None else Decimal(due)
    return SettlementReport(
        order_id=order.id,
        conversion_id=conversion_id,
        price=Decimal("90001.5"),
        value=due,
        fee=Decimal("0.01"),
        due=due,
        settled_at=NOW,
    )


def changed(report, **fields):
    return msgspec.structs.replace(report, **fields)


def take(*reports, now=LATER):
    answer = take_reports(reports=reports, now=now)
    return answer.taken, answer.refused


def balance(customer):
    return Account.objects.get(customer=customer).balance


def assert_books_agree():
    assert all(asset.total == 0 for asset in trial_balance(Account, Transfer))
    summed = {account_id: amount for account_id, _, _, amount in balances(Account, Transfer)}
    for account in Account.objects.filter(customer__isnull=False):
        assert summed[account.pk] == account.balance


@pytest.fixture
def customer():
    return make_customer(balance="1000", now=NOW)


@pytest.fixture
def opened(customer):
    return place_open(customer, make_option(now=NOW), contracts=4, now=NOW)


@pytest.mark.django_db
def test_a_report_settles_its_order(opened):
    report = report_of(opened)
    assert take(report) == ([opened.id], [])
    order = SyncOrder.objects.get(pk=opened.id)
    assert (order.state, order.settled_at, order.synced_at) == ("SETTLED", NOW, LATER)
    assert (order.conversion_id, order.settlement_price) == (7, report.price)
    assert (order.settlement_value, order.settlement_fee, order.settlement_due) == (
        report.value,
        report.fee,
        report.due,
    )


@pytest.mark.django_db
def test_an_acknowledged_order_keeps_its_time(opened):
    outbox.acknowledge(order_ids=[opened.id], now=NOW)
    take(report_of(opened))
    assert SyncOrder.objects.get(pk=opened.id).synced_at == NOW


@pytest.mark.django_db
def test_the_same_report_again_is_taken_without_effect(opened):
    take(report_of(opened))
    before = SyncOrder.objects.filter(pk=opened.id).values().get()
    assert take(report_of(opened), now=LATER + timedelta(hours=1)) == ([opened.id], [])
    assert SyncOrder.objects.filter(pk=opened.id).values().get() == before


@pytest.mark.django_db
@pytest.mark.parametrize(
    "field",
    [
        {"conversion_id": 8},
        {"price": Decimal("90001.6")},
        {"value": Decimal(1)},
        {"fee": Decimal(1)},
        {"settled_at": LATER},
    ],
)
def test_a_report_that_contradicts_an_earlier_one_is_refused(opened, field):
    take(report_of(opened))
    before = SyncOrder.objects.filter(pk=opened.id).values().get()
    assert take(changed(report_of(opened), **field)) == ([], [opened.id])
    assert SyncOrder.objects.filter(pk=opened.id).values().get() == before


@pytest.mark.django_db
def test_two_reports_of_one_order_in_one_batch_are_refused_unless_equal(opened):
    report = report_of(opened)
    assert take(report, changed(report, fee=Decimal(2))) == ([], [opened.id])
    assert SyncOrder.objects.get(pk=opened.id).state == "PENDING"
    assert take(report, report) == ([opened.id], [])


@pytest.mark.django_db
@pytest.mark.parametrize("difference", ["0.000001", "-0.000001"])
def test_what_is_due_for_an_instant_order_is_its_firm_price(opened, difference):
    wrong = changed(report_of(opened), due=opened.fair + Decimal(difference))
    assert take(wrong) == ([], [opened.id])
    assert SyncOrder.objects.get(pk=opened.id).state == "PENDING"


@pytest.mark.django_db
def test_unknown_orders_are_refused_and_do_not_hinder_the_others(opened):
    stranger = report_of(msgspec.structs.replace(opened, id=10**12))
    assert take(stranger, report_of(opened)) == ([opened.id], [10**12])


@pytest.mark.django_db
def test_an_instant_close_moves_no_money_when_it_is_settled(customer, opened):
    closed = place_close(opened, now=NOW)
    before = balance(customer), Transfer.objects.count()
    assert take(report_of(closed)) == ([closed.id], [])
    assert (balance(customer), Transfer.objects.count()) == before


@pytest.mark.django_db
def test_a_payout_at_fill_is_deposited_with_its_report(customer, opened):
    closed = place_close(opened, payout="at_fill", now=NOW)
    before = balance(customer)

    assert take(report_of(closed, due="71.234567")) == ([closed.id], [])

    assert balance(customer) == before + Decimal("71.234567")
    deposit = Transfer.objects.get(order_id=closed.id)
    account = Account.objects.get(customer=customer)
    assert (deposit.kind, deposit.debit_account_id, deposit.credit_account_id, deposit.balance_after) == (
        "payout",
        SystemAccount.CLEARING,
        account.pk,
        account.balance,
    )
    order = SyncOrder.objects.get(pk=closed.id)
    assert (order.state, order.amount) == ("SETTLED", Decimal("71.234567"))
    position = Position.objects.get(pk=opened.id)
    assert (position.state, position.unpaid, position.closed_at) == ("CLOSED", 0, LATER)
    assert position.proceeds == Decimal("71.234567")
    assert_books_agree()


@pytest.mark.django_db
def test_a_payout_at_fill_is_deposited_once_however_often_it_is_reported(customer, opened):
    closed = place_close(opened, payout="at_fill", now=NOW)
    report = report_of(closed, due="71.25")
    for _ in range(3):
        assert take(report) == ([closed.id], [])
    assert take(changed(report, due=Decimal(72))) == ([], [closed.id])
    assert Transfer.objects.filter(order_id=closed.id).count() == 1
    assert_books_agree()


@pytest.mark.django_db
def test_several_payouts_of_one_position_in_one_batch_are_all_deposited(customer, opened):
    orders = [place_close(opened, contracts=1, payout="at_fill", now=NOW) for _ in range(4)]
    before = balance(customer)
    take(*(report_of(order, due=str(number)) for number, order in enumerate(orders, 10)))
    assert balance(customer) == before + 10 + 11 + 12 + 13
    position = Position.objects.get(pk=opened.id)
    assert (position.state, position.unpaid, position.proceeds) == ("CLOSED", 0, 46)
    running = Transfer.objects.filter(kind="payout").order_by("pk").values_list("balance_after", flat=True)
    assert list(running) == [before + 10, before + 21, before + 33, before + 46]
    assert_books_agree()


@pytest.mark.django_db
def test_a_fill_that_was_worth_nothing_still_ends_the_position(customer, opened):
    closed = place_close(opened, payout="at_fill", now=NOW)
    before = balance(customer)
    assert take(report_of(closed, due="0")) == ([closed.id], [])
    assert balance(customer) == before
    assert Position.objects.get(pk=opened.id).state == "CLOSED"


@pytest.mark.django_db
def test_nothing_is_taken_back_from_a_customer(opened):
    closed = place_close(opened, payout="at_fill", now=NOW)
    assert take(report_of(closed, due="-1")) == ([], [closed.id])
    assert SyncOrder.objects.get(pk=closed.id).state == "PENDING"


@pytest.mark.django_db
def test_a_partly_closed_position_stays_open_when_it_is_paid(opened):
    closed = place_close(opened, contracts=1, payout="at_fill", now=NOW)
    take(report_of(closed, due="10"))
    position = Position.objects.get(pk=opened.id)
    assert (position.state, position.remaining, position.unpaid, position.closed_at) == ("OPEN", 3, 0, None)


@pytest.mark.django_db(transaction=True)
def test_the_same_report_from_many_threads_is_deposited_once():
    customer = make_customer(balance="1000", now=NOW)
    opened = place_open(customer, make_option(now=NOW), contracts=4, now=NOW)
    orders = [place_close(opened, contracts=1, payout="at_fill", now=NOW) for _ in range(4)]
    before = balance(customer)
    reports = [report_of(order, due="12.5") for order in orders]
    turned = [reports[i % 4 :] + reports[: i % 4] for i in range(8)]

    answers = at_once(partial(take_reports, reports=some, now=LATER) for some in turned)

    assert {tuple(answer.taken) for answer in answers} == {tuple(order.id for order in orders)}
    assert balance(customer) == before + 50
    assert Transfer.objects.filter(kind="payout").count() == 4
    position = Position.objects.get(pk=opened.id)
    assert (position.state, position.unpaid, position.proceeds) == ("CLOSED", 0, 50)
    assert_books_agree()


@pytest.mark.django_db(transaction=True)
def test_of_contradicting_reports_from_two_threads_one_is_taken():
    customer = make_customer(balance="1000", now=NOW)
    opened = place_open(customer, make_option(now=NOW), contracts=4, now=NOW)
    first = report_of(opened)
    both = [first, changed(first, conversion_id=8)]

    answers = at_once(partial(take_reports, reports=[report], now=LATER) for report in both)

    assert sorted(len(answer.taken) for answer in answers) == [0, 1]
    [taken] = [report for report, answer in zip(both, answers, strict=True) if answer.taken]
    assert SyncOrder.objects.get(pk=opened.id).conversion_id == taken.conversion_id


@pytest.mark.django_db(transaction=True)
def test_payouts_and_new_orders_at_the_same_moment_leave_the_books_right():
    customer = make_customer(balance="1000", now=NOW)
    option = make_option(now=NOW)
    opened = place_open(customer, option, contracts=4, now=NOW)
    orders = [place_close(opened, contracts=1, payout="at_fill", now=NOW) for _ in range(4)]
    before = balance(customer)

    def trade():
        return place_close(place_open(customer, option, now=NOW), now=NOW)

    actions = [partial(take_reports, reports=[report_of(order, due="20")], now=LATER) for order in orders]
    at_once([*actions, *[trade] * 4])

    loss = Decimal("22.6125") - Decimal("17.91")
    assert balance(customer) == before + 80 - 4 * loss
    assert_books_agree()
