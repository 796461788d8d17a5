"""Finding orders by the id that a customer gave them, without an index that every order would have to be written into.

A client id is unique for its customer only, and the index begins with the customer: so each customer's part of it is
asked by itself, which costs the placing of orders nothing and the search some microseconds a customer, or a read of the
disk. Therefore it is bounded in time, and naming the customer as well needs only one such look.
"""

import time

from django.db import connection
from django.db.backends.utils import CursorWrapper

from counter.orders.exercise_names import stored_name
from infra.db.arrays import array

SECONDS = 0.1
CUSTOMERS_AT_ONCE = 500
RECENT_ORDERS = 5_000
OF_CUSTOMER = """
    SELECT o.id FROM counter_syncorder AS o JOIN counter_customer AS c ON c.id = o.customer_id
    WHERE c.reference = %s AND o.client_order_id = ANY(%s::varchar[])
"""
# Of the newest orders of all customers: what is asked for at night has mostly happened just now.
RECENT = """
    SELECT id FROM (
        SELECT id, client_order_id FROM counter_syncorder ORDER BY id DESC LIMIT %s
    ) AS newest WHERE client_order_id = ANY(%s::varchar[]) ORDER BY id DESC
"""
OF_SOME_CUSTOMERS = """
    SELECT c.id, found.id FROM (
        SELECT id FROM counter_customer WHERE id < %s ORDER BY id DESC LIMIT %s
    ) AS c LEFT JOIN LATERAL (
        SELECT o.id FROM counter_syncorder AS o
        WHERE o.customer_id = c.id AND o.client_order_id = ANY(%s::varchar[]) LIMIT 1
    ) AS found ON true ORDER BY c.id DESC
"""


def orders_by_client_id(term: str, *, limit: int) -> list[int]:
    """Ids of orders with this client id, newest first: of any customer, or, as `REFERENCE CLIENT-ID`, of that one.

    Without a customer: among the newest RECENT_ORDERS of all, and then of each customer, the newest first, for SECONDS:
    of more customers than that allows, older orders are found with the customer's reference only. An exercise is found
    by its customer's name of it and by the stored one, which staff see.
    """
    reference, _, client_order_id = term.partition(" ")
    names = _stored_names(term)
    with connection.cursor() as cursor:
        cursor.execute(OF_CUSTOMER, [reference, _stored_names(client_order_id.strip())])
        if named := [order_id for (order_id,) in cursor.fetchall()]:
            return named
        cursor.execute(RECENT, [RECENT_ORDERS, names])
        ids = {order_id for (order_id,) in cursor.fetchall()}
        ends_at, before = time.monotonic() + SECONDS, 2**62
        while time.monotonic() < ends_at and (rows := _customers(cursor, before, names)):
            ids |= {order_id for _, order_id in rows if order_id is not None}
            before = rows[-1][0]
    return sorted(ids, reverse=True)[:limit]


def _stored_names(term: str) -> str:
    """An array of what may be stored of an order that somebody calls so."""
    return array(sorted({term, stored_name(term)}))


def _customers(cursor: CursorWrapper, before: int, names: str) -> list[tuple[int, int | None]]:
    cursor.execute(OF_SOME_CUSTOMERS, [before, CUSTOMERS_AT_ONCE, names])
    return cursor.fetchall()
