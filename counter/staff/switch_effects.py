"""What throwing a kill switch stops and what goes on, in words and numbers, for the person who is about to do it."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection

from counter.models import TradingSwitch
from counter.models.switches import ALL_COINS
from counter.trading.switches import SEVERITY, State

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
    """What ends and what goes on once the switch is thrown, a line each; `undo`: who brings it back, and where."""

    coins: str
    ends: tuple[str, ...]
    goes_on: tuple[str, ...]
    undo: str


def effect_of(switch: TradingSwitch, *, to: State, now: datetime) -> Effect:
    """What bringing the switch to a state would do at this moment."""
    coins = list(settings.COINS) if switch.underlying == ALL_COINS else [switch.underlying]
    with connection.cursor() as cursor:
        cursor.execute(HELD, [coins])
        positions, customers, contracts = cursor.fetchone()
        cursor.execute(PROMISED, [now, coins])
        (promised,) = cursor.fetchone()
    closing = (
        f"closing, by {_counted(customers, 'customer')} with {_counted(positions, 'open position')} "
        f"({_counted(contracts, 'contract')})"
    )
    opening = "opening positions, by the API and on the trade page"
    firm = (f"{_counted(promised, 'firm quote')} given: an order by one is refused",) if promised else ()
    named = " and ".join(coins)
    if SEVERITY[to] < SEVERITY[switch.state]:
        back = (opening, closing) if to == State.RUNNING else (closing,)
        beneath = "a coin that is widened or halted by its circuit breaker stays so"
        still = () if to == State.RUNNING else ("opening stays stopped",)
        return Effect(named, (), (*back, *still, beneath), "an operator stops it again, on this page")
    if to == State.ALL_STOPPED:
        waiting = "expiry, but its positions wait to be paid until closing goes on"
        ends = (opening, closing, *firm)
        return Effect(named, ends, (*ALWAYS[:2], waiting), "an approver lets trading go on, on this page")
    return Effect(named, (opening, *firm), (closing, *ALWAYS), "an approver lets trading go on, on this page")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
