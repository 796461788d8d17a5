"""What throwing a kill switch stops and what goes on, in words and numbers, for the person who is about to do it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from counter.models import TradingSwitch
from counter.models.switches import ALL_COINS
from counter.staff.switch_page import duration_text
from counter.trading.switches import SAID, SEVERITY, State

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
    """What ends and what goes on once the switch is thrown, a line each; `undo`: who brings it back, and where.

    `others` are lines of what stops those coins all the same, by other switches.
    """

    coins: str
    ends: tuple[str, ...]
    goes_on: tuple[str, ...]
    undo: str
    others: tuple[str, ...] = ()


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
        undo = "an operator stops it again, on this page"
        return Effect(named, (), (*back, *still, beneath), undo, _other_stops(switch))
    if to == State.ALL_STOPPED:
        waiting = "expiry, but its positions wait to be paid until closing goes on"
        ends = (opening, closing, *firm)
        return Effect(named, ends, (*ALWAYS[:2], waiting), _undo())
    return Effect(named, (opening, *firm), (closing, *ALWAYS), _undo())


def _undo() -> str:
    """How a stop ends."""
    approver = "an approver lets trading go on, on this page"
    within = timedelta(seconds=settings.STOP_TAKE_BACK_SECONDS)
    if not within:
        return approver
    return f"you take it back alone within {duration_text(within)}, if nothing else happens; after that {approver}"


def _other_stops(switch: TradingSwitch) -> tuple[str, ...]:
    """The switches that stop its coins all the same."""
    others = TradingSwitch.objects.exclude(pk=switch.pk).exclude(state=State.RUNNING)
    if switch.underlying != ALL_COINS:
        others = others.filter(underlying=ALL_COINS)
    return tuple(
        f"{'every coin' if other.underlying == ALL_COINS else other.coins}: the switch of {other.coins} stays thrown, "
        f"{SAID[State(other.state)]}"
        for other in others.order_by("underlying")
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
