"""What throwing a kill switch stops and what goes on, in words and numbers, for the person who is about to do it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from counter.models import TradingSwitch
from counter.models.switches import ALL_COINS
from counter.staff.switch_page import duration_text
from counter.staff.switch_standing import breaker_text, coins_of, stays_stopped
from counter.trading.status import trading_by_coin
from counter.trading.switches import SEVERITY, State, stopped

HELD = """
    SELECT count(*), count(DISTINCT p.customer_id), coalesce(sum(p.remaining), 0)
    FROM counter_position AS p JOIN counter_option AS o ON o.id = p.option_id
    WHERE p.state = 'OPEN' AND o.underlying = ANY(%s::varchar[])
"""
PROMISED = """
    SELECT count(*) FROM counter_firmquote AS q JOIN counter_option AS o ON o.id = q.option_id
    WHERE q.state = 'GIVEN' AND q.expires_at > %s AND o.underlying = ANY(%s::varchar[])
"""
ALWAYS = (
    "orders that were accepted already are settled",
    "deposits and withdrawals",
    "expiry, at the settlement index",
)


@dataclass(frozen=True, slots=True)
class Effect:
    """What ends anew, what goes on, what is resumed and what stays stopped all the same, a line each.

    `undo`: who brings it back, and where.
    """

    coins: str
    is_stop: bool
    ends: tuple[str, ...]
    goes_on: tuple[str, ...]
    resumes: tuple[str, ...]
    stays: tuple[str, ...]
    undo: str


def effect_of(switch: TradingSwitch, *, to: State, now: datetime) -> Effect:
    """What bringing the switch to a state would do at this moment."""
    coins, thrown = coins_of(switch), stopped()
    before = {coin: _worst(coin, switch, State(switch.state), thrown) for coin in coins}
    after = {coin: _worst(coin, switch, to, thrown) for coin in coins}
    is_stop = SEVERITY[to] > SEVERITY[switch.state]
    opening = [coin for coin in coins if (before[coin] == State.RUNNING) != (after[coin] == State.RUNNING)]
    closing = [
        coin for coin in coins if (before[coin] == State.ALL_STOPPED) != (after[coin] == State.ALL_STOPPED)
    ]
    changed = (*_opening(opening), *(_firm(opening, now) if is_stop else ()), *_closing(closing))
    goes_on = _closing([coin for coin in coins if after[coin] != State.ALL_STOPPED])
    waits = "expiry, but positions wait to be paid until closes are resumed"
    expiry = waits if to == State.ALL_STOPPED else ALWAYS[2]
    own = ("opening positions stays stopped, by this switch",) if to != State.RUNNING else ()
    return Effect(
        coins=" and ".join(coins),
        is_stop=is_stop,
        ends=changed if is_stop else (),
        goes_on=(*goes_on, *ALWAYS[:2], expiry) if is_stop else (),
        resumes=() if is_stop else changed,
        stays=() if is_stop else (*own, *stays_stopped(switch, to, thrown), *_contained(coins, now)),
        undo=_undo(switch) if is_stop else "an operator stops it again, on the page of this switch",
    )


def _worst(coin: str, switch: TradingSwitch, state: State, thrown: Mapping[str, TradingSwitch]) -> State:
    """What a coin's switches come to with this one in a state."""
    found = {name: State(thrown[name].state) for name in (coin, ALL_COINS) if name in thrown}
    return max({**found, switch.underlying: state}.values(), key=SEVERITY.__getitem__)


def _opening(coins: Sequence[str]) -> tuple[str, ...]:
    return (f"opening positions of {' and '.join(coins)}, by the API and on the trade page",) if coins else ()


def _closing(coins: Sequence[str]) -> tuple[str, ...]:
    if not coins:
        return ()
    with connection.cursor() as cursor:
        cursor.execute(HELD, [list(coins)])
        positions, customers, contracts = cursor.fetchone()
    return (
        f"closing positions of {' and '.join(coins)}, by {_counted(customers, 'customer')} with "
        f"{_counted(positions, 'open position')} ({_counted(contracts, 'contract')})",
    )


def _firm(coins: Sequence[str], now: datetime) -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute(PROMISED, [now, list(coins)])
        (promised,) = cursor.fetchone()
    return (f"{_counted(promised, 'firm quote')} given: an order by one is refused",) if promised else ()


def _contained(coins: Sequence[str], now: datetime) -> tuple[str, ...]:
    """What circuit breakers do to the coins meanwhile."""
    trading = trading_by_coin(now=now)
    return tuple(f"{coin}: {text}" for coin in coins if (text := breaker_text(trading.get(coin))))


def _undo(switch: TradingSwitch) -> str:
    """How a stop ends."""
    approver = "an approver resumes trading, on the page of this switch"
    within = timedelta(seconds=settings.STOP_TAKE_BACK_SECONDS)
    if not within:
        return approver
    of_all = switch.underlying == ALL_COINS
    its = "a coin's" if of_all else f"{switch.coins}'s"
    other = "any kill switch" if of_all else f"the switch of {switch.coins} or that of all coins"
    yours = "a coin" if of_all else "all coins"
    them = "that coin" if of_all else "all coins"
    return (
        f"you take it back alone within {duration_text(within)}; if you stop {yours} after it, not until the switch of "
        f"{them} is taken back; that ends sooner when somebody else throws {other}, "
        f"also to stop what is stopped, or {its} circuit breaker widens or halts it; after that {approver}"
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
