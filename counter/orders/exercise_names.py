"""The client order ids of exercises: `exercise/` and the position's id, the row's inside and the public one outside.

A customer's own ids have no slash, so none is in the way. Inside the name does not depend on a key: it is what lets a
position be exercised once.
"""

from counter.public_ids import NOBODYS, Kind, NoPublicId, public_id, row_id

PREFIX = "exercise/"


def exercise_name(position_id: int) -> str:
    """The stored name of the order that exercises a position."""
    return f"{PREFIX}{position_id}"


def shown_name(stored: str) -> str:
    """The name of an order as its customer sees it."""
    if not stored.startswith(PREFIX):
        return stored
    return PREFIX + public_id(Kind.POSITION, int(stored.removeprefix(PREFIX)))


def stored_name(shown: str) -> str:
    """The stored name of an order by the one that its customer knows; nobody's if there is no such exercise."""
    if not shown.startswith(PREFIX):
        return shown
    try:
        return exercise_name(row_id(Kind.POSITION, shown.removeprefix(PREFIX)))
    except NoPublicId:
        return exercise_name(NOBODYS)
