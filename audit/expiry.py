"""The end of options, as part of invariant 7: each at its one index, each position as that index makes it.

Statements about counter alone, true in every snapshot of it: an expiry's index, its options' and its positions' ends
are each written in one transaction. A payoff is held against the index by products, which are exact, not by a quotient.
"""

from audit.findings import Finding, Result
from infra.db.snapshots import Snapshot

# Without a position nothing needs an index; who settles at one settles at the one that is stored.
OPTIONS = """
    SELECT o.symbol, o.state, o.settlement_index, i.price, e.state, count(*) OVER ()
    FROM counter_option AS o
    LEFT JOIN counter_settlementindex AS i ON i.underlying = o.underlying AND i.expires_at = o.expires_at
    LEFT JOIN counter_expiry AS e ON e.underlying = o.underlying AND e.expires_at = o.expires_at
    WHERE (CASE
        WHEN o.state IN ('EXPIRED', 'SETTLED') THEN
            e.id IS NOT NULL AND o.settlement_index IS NOT DISTINCT FROM i.price
            AND (i.price IS NULL) = (e.indexed_at IS NULL)
            AND (o.state = 'SETTLED' OR e.state <> 'SETTLED')
        ELSE o.settlement_index IS NULL AND i.id IS NULL AND e.id IS NULL
    END) IS NOT TRUE
    ORDER BY o.id LIMIT 50
"""
# An order's coin is its payoff rounded down to 8 decimals: not above it, and by less than one unit below.
EXERCISES = """
    WITH paid AS (
        SELECT s.id, s.coin, s.index_price, s.contracts, o.settlement_index,
               greatest(CASE o.kind WHEN 'C' THEN s.index_price - o.strike ELSE o.strike - s.index_price END, 0)
                   * s.contracts * o.multiplier AS payoff_usd
        FROM counter_syncorder AS s JOIN counter_option AS o ON o.id = s.option_id WHERE s.kind = 'EXERCISE'
    )
    SELECT id, coin, index_price, settlement_index, payoff_usd, count(*) OVER () FROM paid
    WHERE (
        index_price = settlement_index AND coin > 0
        AND coin * index_price <= payoff_usd AND (coin + 0.00000001) * index_price > payoff_usd
    ) IS NOT TRUE
    ORDER BY id LIMIT 50
"""
# By one contract of it: what is worth two units of coin, and of USDT, is exercised, also after rounding.
WORTHLESS = """
    SELECT p.id, o.symbol, o.settlement_index, count(*) OVER ()
    FROM counter_position AS p JOIN counter_option AS o ON o.id = p.option_id
    WHERE p.state = 'EXPIRED' AND (
        CASE o.kind WHEN 'C' THEN o.settlement_index - o.strike ELSE o.strike - o.settlement_index END
            * o.multiplier < 2 * greatest(0.00000001 * o.settlement_index, 0.000001)
    ) IS NOT TRUE
    ORDER BY p.id LIMIT 50
"""
# An option is settled when nothing of it is open; afterwards nobody would look for such a position.
STRANDED = """
    SELECT p.id, o.symbol, count(*) OVER ()
    FROM counter_position AS p JOIN counter_option AS o ON o.id = p.option_id
    WHERE p.state = 'OPEN' AND o.state = 'SETTLED' ORDER BY p.id LIMIT 50
"""


def legal_ends(counter: Snapshot, result: Result) -> None:
    """Expired options have the index that is stored, exercises are what it makes them, the rest is worth nothing."""
    result.broken.extend_from(counter.rows(OPTIONS), _wrong_option)
    result.broken.extend_from(counter.rows(EXERCISES), _wrong_exercise)
    result.broken.extend_from(counter.rows(WORTHLESS), _wrongly_worthless)
    result.broken.extend_from(counter.rows(STRANDED), _stranded)


def _wrong_option(symbol: str, state: str, index: object, stored: object, expiry: str | None) -> Finding:
    detail = f"{state}, settles at {index}, index stored {stored}, its expiry is {expiry or 'not there'}"
    return Finding("option does not fit its expiry", symbol, detail)


def _wrong_exercise(
    order_id: int, coin: object, index: object, settled_at: object, payoff: object
) -> Finding:
    detail = f"coin {coin} at {index}, the option settles at {settled_at} and pays {payoff} USD"
    return Finding("exercise is not the option's payoff", f"order {order_id}", detail)


def _wrongly_worthless(position_id: int, symbol: str, index: object) -> Finding:
    return Finding("position in the money expired at zero", f"position {position_id}", f"{symbol} at {index}")


def _stranded(position_id: int, symbol: str) -> Finding:
    return Finding("position is open in a settled option", f"position {position_id}", symbol)
