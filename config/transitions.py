"""Bulk state transitions: the declared django-fsm graph applied to many rows in one statement.

The transition method itself is the argument, so its declared sources and target are the only graph there is: a row
that is not in a source state is left alone and missing from the answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections, models, router

from config.arrays import array
from config.rows import array_type


class TransitionNotDeclared(Exception):
    """The method is not a django-fsm transition of this model, or has no single static target."""


def sources_and_target(model: type[models.Model], transition: Any) -> tuple[Any, list[str], str]:
    """State field, source states and target state of a declared transition.

    Raises: TransitionNotDeclared for a method without exactly one static target or with a wildcard source.
    """
    meta = getattr(transition, "_django_fsm", None)
    if meta is None:
        raise TransitionNotDeclared(f"{transition!r} is not a transition")
    field = meta.field
    if isinstance(field, str):
        field = model._meta.get_field(field)
    targets = {declared.target for declared in meta.transitions.values()}
    sources = list(meta.transitions)
    if len(targets) != 1 or not isinstance(next(iter(targets)), str) or {"*", "+"} & set(sources):
        raise TransitionNotDeclared(f"{transition.__qualname__} needs listed sources and one target")
    return field, sources, next(iter(targets))


def move(
    model: type[models.Model],
    transition: Any,
    ids: Sequence[int],
    *,
    same: Mapping[str, Any] | None = None,
    each: Mapping[str, Sequence[Any]] | None = None,
    where: Mapping[str, Any] | None = None,
) -> list[int]:
    """Move the rows `ids` through `transition`; return the ids that moved, in no particular order.

    `same` sets one value for all rows, `each` a sequence with one value per id, `where` adds equality guards (a
    version, an owner). A model with a `version` column has it raised by one. Joins the caller's transaction.

    Raises: TransitionNotDeclared; ValueError when a sequence of `each` has another length than `ids`.
    """
    if not ids:
        return []
    each = each or {}
    if any(len(values) != len(ids) for values in each.values()):
        raise ValueError("each sequence needs one value per id")
    statement = _Update(model, transition)
    statement.set_same(same or {})
    arrays, names = ["%s::bigint[]"], ["id"]
    parameters = [array(ids)]
    for name, values in each.items():
        arrays.append(f"%s::{array_type(statement.field(name), statement.connection.alias)}")
        names.append(statement.quote(name))
        parameters.append(array(values))
        statement.assignments.append(f"{statement.column(name)} = v.{names[-1]}")
    chosen = f"FROM unnest({', '.join(arrays)}) AS v({', '.join(names)}) WHERE t.{statement.key} = v.id"
    return [row[0] for row in statement.run(chosen, parameters, where or {}, [model._meta.pk.name])]


def move_selected(
    rows: models.QuerySet[Any],
    transition: Any,
    *,
    same: Mapping[str, Any],
    returning: Sequence[str],
) -> list[tuple[Any, ...]]:
    """Move the rows that a query selects (and may lock) through `transition`, and set `same` on each.

    Returns the fields `returning` of those that moved, in no particular order. Otherwise as `move`.
    """
    statement = _Update(rows.model, transition)
    statement.set_same(same)
    query = rows.values_list("pk").query
    chosen, parameters = query.get_compiler(statement.connection.alias).as_sql()
    # An array is worked out once, whatever the plan, and the planner never takes a limit of thousands for their number.
    return statement.run(f"WHERE t.{statement.key} = ANY(ARRAY({chosen}))", parameters, {}, returning)


class _Update:
    """One UPDATE that moves rows of a model through a transition."""

    def __init__(self, model: type[models.Model], transition: Any) -> None:
        state, self.sources, target = sources_and_target(model, transition)
        self.model = model
        self.connection = connections[router.db_for_write(model)]
        self.quote = self.connection.ops.quote_name
        self.state = self.quote(state.column)
        self.key = self.column(model._meta.pk.name)
        self.assignments = [f"{self.state} = %s"]
        self.parameters: list[Any] = [target]
        if any(concrete.name == "version" for concrete in model._meta.concrete_fields):
            self.assignments.append('"version" = t."version" + 1')

    def column(self, name: str) -> str:
        return self.quote(self.field(name).column)

    def set_same(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self.assignments.append(f"{self.column(name)} = %s")
            self.parameters.append(self._as_stored(name, value))

    def run(
        self, chosen: str, parameters: Sequence[Any], where: Mapping[str, Any], returning: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        """Update the rows that the end of a statement, `chosen`, selects from `t`, if they are in a source state."""
        guards = [f"t.{self.state} = ANY(%s)", *(f"t.{self.column(name)} = %s" for name in where)]
        guarded = [self.sources, *(self._as_stored(name, value) for name, value in where.items())]
        sql = (
            f"UPDATE {self.quote(self.model._meta.db_table)} AS t SET {', '.join(self.assignments)}"  # noqa: S608
            f" {chosen} AND {' AND '.join(guards)}"  # names come from the model, quoted
            f" RETURNING {', '.join(f't.{self.column(name)}' for name in returning)}"
        )
        with self.connection.cursor() as cursor:
            cursor.execute(sql, [*self.parameters, *parameters, *guarded])
            return cursor.fetchall()

    def field(self, name: str) -> Any:
        return self.model._meta.get_field(name)

    def _as_stored(self, name: str, value: Any) -> Any:
        return self.field(name).get_db_prep_save(value, self.connection)
