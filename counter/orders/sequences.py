"""The sequences of counter's ids, and how far one that was restored moves them on, so that no id is given out twice.

Only order ids are known outside, to the desk. Rows of other tables have ids that customers hold too: as many more of
them are passed over.
"""

from collections.abc import Mapping

ORDERS = "counter_syncorder_id_seq"
# Far beyond what was on its way to the desk, and what other processes take between the look at it and the move.
ORDERS_APART = 100_000
ROWS_FOR_EACH_ORDER = (
    10  # an order has some entries of the ledger; nobody asks for more firm quotes than that for long
)
MOST_AHEAD = 10**9  # orders; beyond it somebody errs: ids are not to be used up
LAST = """
    SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences
    WHERE schemaname = current_schema() AND starts_with(sequencename, 'counter_')
        AND data_type = 'bigint'::regtype
"""
MOVE = "SELECT setval(quote_ident(%s)::regclass, %s)"


def moved(last: Mapping[str, int], *, known: Mapping[str, int]) -> dict[str, int]:
    """Where each sequence goes on, that of orders last, if ids up to `known` were given out, or up to its `last`."""
    orders_to = max(last[ORDERS], known.get(ORDERS, 0)) + ORDERS_APART
    apart = ROWS_FOR_EACH_ORDER * min(orders_to - last[ORDERS], MOST_AHEAD)
    others = {name: max(at, known.get(name, 0)) + apart for name, at in last.items() if name != ORDERS}
    return {**others, ORDERS: orders_to}
