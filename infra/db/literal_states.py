"""States are part of a statement's text: a plan that is kept can then use the index of the rows in one state.

Django sends `state = $1`. Prepared and planned for any value, that cannot use a partial index, and reads all that was
ever settled to see that nothing waits; planned anew for each value, it costs as much as it does.
"""

import re
from collections.abc import Sequence
from typing import Any

from django.db.models.lookups import Exact, In
from django_fsm import FSMField

STATE = re.compile(r"[A-Za-z_]+")


class StateIs(Exact):
    """`state = 'FILLED'`, also under `exclude` and in constraints."""

    def process_rhs(self, compiler: Any, connection: Any) -> Any:
        return _written_out(self, *super().process_rhs(compiler, connection))


class StateIn(In):
    """`state IN ('PLANNED', 'UNKNOWN')`."""

    def process_rhs(self, compiler: Any, connection: Any) -> Any:
        return _written_out(self, *super().process_rhs(compiler, connection))


def _written_out(lookup: Any, sql: str, parameters: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """The values in place of their placeholders, unless one is no word, as what comes from outside may be, or other
    SQL stands beside them with a `%` of its own."""
    words = [str(each) for each in parameters]
    if (
        not lookup.rhs_is_direct_value()
        or not all(map(STATE.fullmatch, words))
        or sql.count("%") != len(words)
    ):
        return sql, parameters
    return sql % tuple(f"'{word}'" for word in words), ()


def register() -> None:
    """From now on all fields that hold states are asked for in this way."""
    FSMField.register_lookup(StateIs)
    FSMField.register_lookup(StateIn)
