"""The conversions that a day's legs are of: between which ids they lie, found by the time of the legs.

A conversion may be booked long after it was planned, so its own id says nothing of that; its legs are dated as it is.
"""

from datetime import datetime, timedelta

from infra.db.ids_by_time import begin_id, end_id
from infra.db.rows import rows_of

# After a restore of the desk what the backup lacked is booked anew, under new ids and dated as before: ids may be out
# of order by as much as a backup was behind.
DESK_MARGIN = timedelta(days=7)
DATED = "settlement_desktransfer", "created_at"
OF_LEGS = """
    SELECT min(conversion_id), max(conversion_id) FROM settlement_desktransfer
    WHERE id >= %(first)s AND id < %(end)s AND created_at >= %(begins)s AND created_at < %(ends)s
"""


def booked_between(begins: datetime, ends: datetime) -> tuple[int, int] | None:
    """The first and the last conversion that was booked in that time, others between them; None without any.

    Raises: DatabaseError.
    """
    near = {
        "first": begin_id(*DATED, begins - DESK_MARGIN, using="desk"),
        "end": end_id(*DATED, ends + DESK_MARGIN, using="desk"),
    }
    [(lowest, highest)] = rows_of("desk", OF_LEGS, {**near, "begins": begins, "ends": ends})
    return None if lowest is None else (lowest, highest)
