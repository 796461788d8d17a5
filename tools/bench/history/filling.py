"""Filling both databases: ids are reserved first, then three connections write their parts side by side.

Invariant: over anything that was there before, all nine of the audit's hold for what is added.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg

from tools.bench.history import counter_sql, desk_sql, past, states

CUSTOMERS = 10_000
CHUNK_PAIRS = 500 * past.PAIRS_IN_CONVERSION
SESSION = "-c synchronous_commit=off -c work_mem=256MB -c maintenance_work_mem=256MB -c jit=off"

Connection = psycopg.Connection[Any]


def fill(*, orders: int, environment: Mapping[str, str], customers: int = CUSTOMERS) -> None:
    """Add `orders` finished orders of `customers` new customers to the databases that `environment` names.

    Half of them are opens and half the closes of just these, on both coins, older than the trades that the audit asks
    the venue for. All crossed inside the desk, so no venue has to know of them. Statistics are fresh afterwards. It
    may be called again, also on databases in use: its ids are its own. One that fails leaves half a history.

    Raises: ValueError for no orders or an odd number of them.
    """
    if orders < 2 or orders % 2:
        raise ValueError(f"a history is opens and their closes, an even number of orders, not {orders}")
    counter_url, desk_url = environment["DATABASE_URL"], environment["DESK_DATABASE_URL"]
    parameters = past.terms(
        pairs=orders // 2,
        customers=customers,
        source=environment.get("COUNTER_SOURCE") or "crossbook",
        now=datetime.now(UTC),
    )
    parameters |= states.parameters()
    with _connected(counter_url) as counter, _connected(desk_url) as desk:
        parameters |= _reserved(
            counter,
            order=("counter_syncorder", orders),
            user=("auth_user", customers),
            customer=("counter_customer", customers),
            account=("counter_account", customers),
        )
        parameters |= _reserved(
            desk,
            accepted=("acceptance_acceptedorder", orders),
            conversion=("settlement_conversion", past.conversions(orders // 2)),
        )
        counter_sql.begin(counter, parameters)
        desk_sql.begin(desk)
    with ThreadPoolExecutor(3) as pool:
        _finish(
            pool.submit(_write, counter_url, counter_sql.ORDERS, parameters),
            pool.submit(_write, counter_url, counter_sql.TRANSFERS, parameters),
            pool.submit(_write, desk_url, desk_sql.SETTLED, parameters),
        )
        _finish(
            pool.submit(_vacuum, counter_url, counter_sql.TABLES),
            pool.submit(_vacuum, desk_url, desk_sql.TABLES),
        )


def _connected(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True, options=SESSION)


def _reserved(connection: Connection, **wanted: tuple[str, int]) -> dict[str, int]:
    """Take ids in a row from the sequences of tables; the first of each, as a parameter of the writing statements."""
    first = {}
    for name, (table, count) in wanted.items():
        sequence = f"{table}_id_seq"
        ((taken,),) = connection.execute("SELECT nextval(%s)", [sequence])
        connection.execute("SELECT setval(%s, %s)", [sequence, taken + count - 1])
        first[f"first_{name}"] = taken
    return first


def _write(url: str, sql: str, parameters: dict[str, Any]) -> None:
    pairs = parameters["pairs"]
    with _connected(url) as connection:
        for first in range(0, pairs, CHUNK_PAIRS):
            last = min(first + CHUNK_PAIRS, pairs) - 1
            # Never prepared: a plan for any numbers does not know how many rows a chunk has.
            chunk = {**parameters, "first_pair": first, "last_pair": last}
            connection.execute(sql.encode(), chunk, prepare=False)


def _finish(*parts: Future[None]) -> None:
    for part in parts:
        part.result()


def _vacuum(url: str, tables: tuple[str, ...]) -> None:
    """Leave what autovacuum would have left of rows so old: visible to all, frozen, and counted."""
    with _connected(url) as connection:
        connection.execute(f"VACUUM (FREEZE, ANALYZE) {', '.join(tables)}".encode())
