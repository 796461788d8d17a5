"""By any trades, cancellations and transfers at the paper venue no value is made or lost, and the journal knows all."""

import json
from collections import defaultdict
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.paper import START_PRICES, Bench
from tools.paper_venue.commission import Commission
from tools.paper_venue.errors import ApiError
from tools.paper_venue.market import DepthShape
from tools.paper_venue.orders import NewOrder
from tools.paper_venue.records import (
    Funded,
    OrderChanged,
    OrderType,
    Side,
    TimeInForce,
    Transferred,
    Wallet,
    event_from_json,
    event_to_json,
)
from tools.paper_venue.replica import LaggingReplica
from tools.paper_venue.state import State
from tools.paper_venue.symbols import SYMBOLS

ACCOUNTS = ("alice", "bob")
symbols = st.sampled_from(sorted(SYMBOLS))
accounts = st.sampled_from(ACCOUNTS)
parts = st.decimals(min_value="0.9", max_value="1.1", places=3)


@st.composite
def places(draw):
    """An order near the market, of any kind and of a size the accounts can sometimes not afford."""
    name = draw(symbols)
    symbol = SYMBOLS[name]
    kind = draw(st.sampled_from(["limit", "maker", "market", "quote"]))
    quantity = draw(st.integers(1, 3_000)) * symbol.step * 100
    price = (START_PRICES[name] * draw(parts)).quantize(symbol.tick)
    terms = {
        "limit": {"quantity": quantity, "price": price, "time_in_force": draw(st.sampled_from(TimeInForce))},
        "maker": {"quantity": quantity, "price": price},
        "market": {"quantity": quantity},
        "quote": {"quote_quantity": (quantity * price).quantize(symbol.tick)},
    }[kind]
    order_type = {"limit": OrderType.LIMIT, "maker": OrderType.LIMIT_MAKER}.get(kind, OrderType.MARKET)
    side = draw(st.sampled_from(Side))
    client_order_id = draw(st.sampled_from(["one", "two", "three", "four"]))
    return ("place", draw(accounts), NewOrder(name, side, order_type, client_order_id, **terms))


actions = st.lists(
    st.one_of(
        places(),
        st.tuples(st.just("move"), symbols, parts),
        st.tuples(st.just("cancel"), accounts, st.integers(0, 9)),
        st.tuples(st.just("burn"), accounts, st.booleans()),
        st.tuples(
            st.just("transfer"),
            accounts,
            st.sampled_from([(Wallet.SPOT, Wallet.FUNDING), (Wallet.FUNDING, Wallet.SPOT)]),
            st.sampled_from(["USDT", "BTC", "ETH", "BNB"]),
            st.decimals(min_value="0.00000001", max_value="2000000", places=8),
        ),
    ),
    max_size=40,
)
depths = st.sampled_from([DepthShape(), DepthShape(levels=3, best_usdt=Decimal(2000), growth=Decimal(1))])


def play(steps, depth):
    """Carry the steps out one after another; those that are refused must have left no trace."""
    bench = Bench(
        depth=depth, accounts=ACCOUNTS, commission=Commission(maker=Decimal("0.0007"), taker=Decimal("0.001"))
    )
    for step in steps:
        bench.now_ms += 50
        before = len(bench.events)
        try:
            carry_out(bench, step)
        except ApiError:
            caused = [event for event in bench.events[before:] if not is_resting_fill(event, bench.now_ms)]
            assert not caused
    return bench


def is_resting_fill(event, now_ms):
    """A new order moves the market first, and so may fill others before it is itself refused."""
    return isinstance(event, OrderChanged) and event.order.created_at_ms < now_ms


def carry_out(bench, step):
    match step:
        case ("place", account, request):
            bench.engine.place_order(account=account, request=request, now_ms=bench.now_ms)
        case ("move", symbol, part):
            price = (START_PRICES[symbol] * part).quantize(SYMBOLS[symbol].tick)
            bench.move(str(price), symbol=symbol)
        case ("cancel", account, number):
            ids = list(bench.state.account(account).open_orders)
            if ids:
                order_id = ids[number % len(ids)]
                bench.engine.cancel_order(account=account, order_id=order_id, now_ms=bench.now_ms)
        case ("burn", account, is_on):
            bench.engine.switch_burn(account=account, is_on=is_on)
        case ("transfer", account, (source, target), asset, amount):
            bench.engine.transfer(
                account=account, source=source, target=target, asset=asset, amount=amount, now_ms=bench.now_ms
            )


def holdings(state):
    """Everything a state says about money and orders, comparable."""
    return (
        {
            name: [
                {asset: (balance.free, balance.locked) for asset, balance in account.wallet(wallet).items()}
                for wallet in Wallet
            ]
            for name, account in state.accounts.items()
        },
        dict(state.orders),
        {name: account.trades for name, account in state.accounts.items()},
        {name: account.transfers for name, account in state.accounts.items()},
        {name: account.burns_bnb for name, account in state.accounts.items()},
        (state.last_order_id, state.last_trade_id, state.last_transfer_id),
    )


@settings(max_examples=examples(30), deadline=None)
@given(actions, depths)
def test_balances_are_what_came_in_and_what_the_trades_say(steps, depth):
    bench = play(steps, depth)
    expected = defaultdict(Decimal)
    for event in bench.events:
        match event:
            case Funded():
                expected[event.account, event.asset] += event.amount
            case OrderChanged(_, trades):
                for trade in trades:
                    symbol = SYMBOLS[trade.symbol]
                    sign = 1 if trade.side is Side.BUY else -1
                    expected[trade.account, symbol.base] += sign * trade.quantity
                    expected[trade.account, symbol.quote] -= sign * trade.quantity * trade.price
                    expected[trade.account, trade.commission_asset] -= trade.commission
            case Transferred():
                pass  # moves between an account's own wallets
    for name, account in bench.state.accounts.items():
        for asset in account.spot:
            balances = [account.spot[asset], account.funding[asset]]
            assert all(balance.free >= 0 and balance.locked >= 0 for balance in balances)
            assert sum(balance.free + balance.locked for balance in balances) == expected[name, asset]


@settings(max_examples=examples(30), deadline=None)
@given(actions, depths)
def test_orders_are_the_sums_of_their_trades_and_lock_what_they_may_still_cost(steps, depth):
    bench = play(steps, depth)
    for order in bench.state.orders.values():
        trades = list(
            bench.state.trades_of_order(account=order.account, symbol=order.symbol, order_id=order.order_id)
        )
        assert sum(trade.quantity for trade in trades) == order.executed_quantity <= order.quantity
        assert sum(trade.quote_quantity for trade in trades) == order.executed_quote
        for trade in trades:
            if order.price:
                is_better = (
                    trade.price <= order.price if order.side is Side.BUY else trade.price >= order.price
                )
                assert is_better
    for account in bench.state.accounts.values():
        locked = defaultdict(Decimal)
        for order in account.open_orders.values():
            symbol = SYMBOLS[order.symbol]
            locked[symbol.quote if order.side is Side.BUY else symbol.base] += order.locked
        assert {asset: balance.locked for asset, balance in account.spot.items()} == {
            asset: locked[asset] for asset in account.spot
        }


@settings(max_examples=examples(15), deadline=None)
@given(actions, depths)
def test_every_prefix_of_the_journal_rebuilds_the_state_of_that_moment(steps, depth):
    bench = play(steps, depth)
    live, rebuilt = State(), State()
    for event in bench.events:
        line = json.dumps(event_to_json(event))
        assert event_from_json(json.loads(line)) == event
        live.apply(event)
        rebuilt.apply(event_from_json(json.loads(line)))
        assert holdings(rebuilt) == holdings(live)
    assert holdings(rebuilt) == holdings(bench.state)


@settings(max_examples=examples(15), deadline=None)
@given(actions, st.integers(1, 400))
def test_a_lagging_replica_is_behind_but_never_wrong(steps, lag_ms):
    bench = play(steps, DepthShape())
    replica = LaggingReplica(State(), lag_ms=lag_ms)
    history = [holdings(State())]
    reference = State()
    for number, event in enumerate(bench.events):
        replica.feed(event, now_ms=number * 100)
        reference.apply(event)
        history.append(holdings(reference.clone()))
        seen = holdings(replica.seen_at(now_ms=number * 100))
        assert seen == history[max(0, number + 1 - -(-lag_ms // 100))]
    assert holdings(replica.seen_at(now_ms=len(bench.events) * 100 + lag_ms)) == holdings(bench.state)
