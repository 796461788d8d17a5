"""Set-based reads of a batch of orders: a fixed number of statements, however many orders it holds.

Statements that need nothing of each other's answers travel together, so that a batch waits for the server three times:
for what it reads, for what it writes, for its commit.
"""

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from counter import events
from counter.orders.requests import Order
from counter.orders.rows import (
    AccountRow,
    BatchRows,
    FirmQuoteRow,
    OptionRow,
    PositionRow,
    ReservedRow,
)
from counter.pricing.impact import CoinBook, Depths, Measures, flow_of
from counter.trading.depths import BOOKS
from infra.coordination.ages import AHEAD_INTERVAL
from infra.db.arrays import array
from infra.db.pipeline import Statement, ask

NOTHING = array([])
ORDER_COLUMNS = Order.__struct_fields__
QUOTE_COLUMNS = tuple(field.name for field in fields(FirmQuoteRow))
BOOK_COLUMNS = 2 * len(Measures._fields)

LOCK_ACCOUNTS = """
    SELECT a.customer_id, a.id, a.balance, a.open_contracts, a.open_cost, a.orders_due_at,
           a.contracts_limit, a.notional_limit, a.orders_limit
    FROM counter_account AS a WHERE a.customer_id = ANY(%s::bigint[]) ORDER BY a.id FOR UPDATE
"""
ORDERS_BY_CLIENT_ID = f"""
    SELECT {", ".join(f'o."{column}"' for column in ORDER_COLUMNS)}
    FROM unnest(%s::bigint[], %s::varchar[]) AS asked(customer_id, client_order_id)
    JOIN counter_syncorder AS o USING (customer_id, client_order_id)
"""  # noqa: S608 - the columns are our own
# Positions named by their ids, or by the (customer id, client order id) of the orders that opened them.
NAMED_POSITIONS = """
    SELECT unnest(%s::bigint[]) UNION
    SELECT o.position_id FROM unnest(%s::bigint[], %s::varchar[]) AS opening(customer_id, client_order_id)
    JOIN counter_syncorder AS o USING (customer_id, client_order_id)
"""
POSITIONS = f"""
    SELECT id, customer_id, option_id, contracts, remaining, unpaid, cost, proceeds, state, opened_at
    FROM counter_position WHERE id IN ({NAMED_POSITIONS})
"""  # noqa: S608 - composed of our own
# A quote that another program wrote, of a release before or a test, leaves what was seen behind: it counts no more.
SEEN = "q.quoted_at >= q.seen_since AND q.quoted_at < q.seen_since + interval '3 seconds'"
_OPTIONS = f"""
    WITH books AS MATERIALIZED ({BOOKS})
    SELECT o.id, o.symbol, o.underlying, o.multiplier, o.state, o.expires_at, q.bid, q.ask, q.index_price, q.quoted_at,
           t.state, t.spread_rate, t.judged_at, t.stop, t.pays_at_once,
           q.contracts_left, q.notional_left, 'index_leap' = ANY(t.reasons),
           CASE WHEN {SEEN} THEN LEAST(q.lowest_ask, q.lowest_ask_before) END,
           CASE WHEN {SEEN} THEN GREATEST(q.highest_bid, q.highest_bid_before) END, t.admitted_permille,
           q.delta, q.vega, b.delta_depth, b.vega_depth, b.premium_depth, b.delta, b.vega, b.premium
    FROM counter_option AS o LEFT JOIN counter_quote AS q ON q.option_id = o.id
    LEFT JOIN counter_tradingstatus AS t ON t.underlying = o.underlying
    LEFT JOIN books AS b ON b.underlying = o.underlying
"""  # noqa: S608 - composed of our own
OPTIONS = f"{_OPTIONS} WHERE o.symbol = ANY(%s::varchar[])"
# And those of named positions: looking for none of them would cost a lone order a quarter of it.
OPTIONS_AND_HELD = f"""{_OPTIONS} WHERE o.id IN (
    SELECT id FROM counter_option WHERE symbol = ANY(%s::varchar[])
    UNION SELECT option_id FROM counter_position WHERE id IN ({NAMED_POSITIONS}))
"""  # noqa: S608 - composed of our own
FIRM_QUOTES = f"""
    SELECT {", ".join(QUOTE_COLUMNS)} FROM counter_firmquote WHERE id = ANY(%s::bigint[])
"""  # noqa: S608 - the columns are our own
# What the customers were promised and may still use.
RESERVED = f"""
    SELECT f.id, f.customer_id, o.underlying, f.kind, f.contracts, o.multiplier, f.premium, q.delta, q.vega
    FROM counter_firmquote AS f JOIN counter_option AS o ON o.id = f.option_id
    LEFT JOIN counter_quote AS q ON q.option_id = f.option_id CROSS JOIN (SELECT %s::timestamptz AS now) AS moment
    WHERE f.customer_id = ANY(%s::bigint[]) AND f.expires_at > now AND f.given_at <= now + {AHEAD_INTERVAL}
        AND f.state = 'GIVEN'
"""  # noqa: S608 - our own
NEXT_IDS = "SELECT nextval('counter_syncorder_id_seq') FROM generate_series(1, %s::int)"


def _rows(*asked: Statement | None) -> list[list[tuple[Any, ...]]]:
    """The rows of each statement, run in this order; None asks nothing and has none."""
    answers = iter(ask("default", *(each for each in asked if each is not None)))
    return [[] if each is None else next(answers) for each in asked]


def read_batch(
    *,
    customer_ids: Iterable[int],
    client_ids: Iterable[tuple[int, str]],
    symbols: Iterable[str],
    position_ids: Iterable[int],
    opened_by: Iterable[tuple[int, str]],
    quote_ids: Iterable[int],
    count: int,
    pays: bool = False,
    reserved_at: datetime | None = None,
) -> BatchRows:
    """Lock the customers' accounts, in the order of their ids, then read what a batch of `count` requests names.

    With `reserved_at` also the firm quotes that the customers may still use at that moment; if the batch `pays` also
    whether anybody hears of it.

    Orders are named by (customer id, client order id), positions by id or by the order that opened them. Order ids are
    fresh; unused ones leave gaps, which nothing depends on. What no request names is not asked for.
    """
    named = [array(list(position_ids)), *_pairs(opened_by)]
    names = any(column != NOTHING for column in named)
    traded, quoted, customers = (array(list(each)) for each in (symbols, quote_ids, customer_ids))
    accounts, orders, options, order_ids, positions, quotes, promised, heard = _rows(
        Statement(LOCK_ACCOUNTS, [customers]),
        Statement(ORDERS_BY_CLIENT_ID, _pairs(client_ids)),
        Statement(OPTIONS_AND_HELD, [traded, *named]) if names else Statement(OPTIONS, [traded]),
        Statement(NEXT_IDS, [count]),
        Statement(POSITIONS, named) if names else None,
        Statement(FIRM_QUOTES, [quoted]) if quoted != NOTHING else None,
        Statement(RESERVED, [reserved_at, customers]) if reserved_at is not None else None,
        Statement(events.IS_HEARD, [customers]) if pays else None,
    )
    return BatchRows(
        accounts=_accounts(accounts),
        orders={
            (order.customer_id, order.client_order_id): order for order in (Order(*row) for row in orders)
        },
        positions=_positions(positions),
        options=_options(options),
        quotes={row[0]: FirmQuoteRow(*row) for row in quotes},
        order_ids=[row[0] for row in order_ids],
        reserved=[_reserved(*row) for row in promised],
        is_heard=any(row[0] for row in heard),
    )


def lock_accounts(customer_ids: Iterable[int], *, skip_locked: bool = False) -> dict[int, AccountRow]:
    """Accounts by customer id, locked in the order of their ids until the transaction ends.

    With `skip_locked` those that somebody else holds are left out instead of waited for.
    """
    sql = LOCK_ACCOUNTS + " SKIP LOCKED" if skip_locked else LOCK_ACCOUNTS
    [rows] = _rows(Statement(sql, [array(list(customer_ids))]))
    return _accounts(rows)


def reserved(customer_ids: Iterable[int], *, now: datetime) -> list[ReservedRow]:
    """What the firm quotes would move that the customers, whose accounts are locked, may still use."""
    [rows] = _rows(Statement(RESERVED, [now, array(list(customer_ids))]))
    return [_reserved(*row) for row in rows]


def next_order_ids(count: int) -> list[int]:
    """Fresh ids; unused ones leave gaps, which nothing depends on."""
    [rows] = _rows(Statement(NEXT_IDS, [count]))
    return [row[0] for row in rows]


def positions(ids: Iterable[int]) -> dict[int, PositionRow]:
    """Positions by id. Their customers' accounts must be locked: that lock is what guards positions."""
    [rows] = _rows(Statement(POSITIONS, [array(list(ids)), *_pairs([])]))
    return _positions(rows)


def _pairs(pairs: Iterable[tuple[int, str]]) -> list[str]:
    """Columns of (customer id, client order id) pairs."""
    listed = list(pairs)
    return [array([customer_id for customer_id, _ in listed]), array([name for _, name in listed])]


def _options(rows: Iterable[tuple[Any, ...]]) -> list[OptionRow]:
    """With one book for all options of a coin."""
    books: dict[str, CoinBook] = {}
    found = []
    for row in rows:
        option = OptionRow(*row[:-BOOK_COLUMNS])
        *depths, delta, vega, premium = row[-BOOK_COLUMNS:]
        if delta is not None:  # the coin charges for size
            book = CoinBook(Depths(*depths), Measures(delta, vega, premium))
            option.book = books.setdefault(option.underlying, book)
        found.append(option)
    return found


def _reserved(
    quote_id: int,
    customer_id: int,
    underlying: str,
    kind: str,
    contracts: int,
    multiplier: Decimal,
    premium: Decimal,
    delta: Decimal | None,
    vega: Decimal | None,
) -> ReservedRow:
    flow = flow_of(
        opens=kind == "OPEN",
        contracts=contracts,
        multiplier=multiplier,
        premium=premium,
        delta=delta,
        vega=vega,
    )
    return ReservedRow(quote_id, customer_id, underlying, flow)


def _accounts(rows: Iterable[tuple[Any, ...]]) -> dict[int, AccountRow]:
    return {row[0]: AccountRow(*row[1:]) for row in rows}


def _positions(rows: Iterable[tuple[Any, ...]]) -> dict[int, PositionRow]:
    return {row[0]: PositionRow(*row) for row in rows}
