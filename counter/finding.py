"""Finding orders by the id that a customer gave them, without an index that every order would have to be written into.

A client id is unique for its customer only, and the index begins with the customer: so each customer's part of it is
asked by itself, which costs some microseconds a customer and the placing of orders nothing.
"""

from django.db import connection

BY_CLIENT_ID = """
    SELECT found.id FROM counter_customer AS c CROSS JOIN LATERAL (
        SELECT o.id FROM counter_syncorder AS o WHERE o.customer_id = c.id AND o.client_order_id = %s LIMIT 1
    ) AS found ORDER BY 1 DESC LIMIT %s
"""


def orders_by_client_id(client_order_id: str, *, limit: int) -> list[int]:
    """Ids of the orders of any customer that have this client id, newest first."""
    with connection.cursor() as cursor:
        cursor.execute(BY_CLIENT_ID, [client_order_id, limit])
        return [order_id for (order_id,) in cursor.fetchall()]
