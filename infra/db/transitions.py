"""Bulk state transitions: the declared django-fsm graph applied to many rows in one statement.

The transition method itself is the argument, so its declared sources and target are the only graph there is: a row
that is not in a source state is left alone and missing from the answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from django.db import connections, models, router
from django_fsm import FSMFieldMixin

from infra.db.arrays import array
from infra.db.lifecycles import state_fields
from infra.db.pipeline import Statement
from infra.db.rows import array_type


class TransitionNotDeclared(Exception):
    """The method is not a django-fsm transition of this model, or has no single static target."""


@cache
def sources_and_target(model: type[models.Model], transition: Any) -> tuple[Any, list[str], str]:
    """State field, source states and target state of a transition that the model declares.

    Raises: TransitionNotDeclared for a method without exactly one static target or with a wildcard source.
    """
    field, declared = _declared(model, transition)
    targets = {edge.target for edge in declared}
    sources = [edge.source for edge in declared]
    if len(targets) != 1 or not isinstance(next(iter(targets)), str) or {"*", "+"} & set(sources):
        raise TransitionNotDeclared(f"{transition.__qualname__} needs listed sources and one target")
    return field, sources, next(iter(targets))


def _declared(model: type[models.Model], transition: Any) -> tuple[FSMFieldMixin, list[Any]]:
    for field in state_fields(model):
        declared = [
            edge for edge in field.get_all_transitions(model) if getattr(model, edge.name) is transition
        ]
        if declared:
            return field, declared
    raise TransitionNotDeclared(f"{transition!r} is no transition of {model.__name__}")


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

    Raises: TransitionNotDeclared, also for one with conditions; ValueError when a sequence of `each` has not one value
    per id.
    """
    statements = moving(model, transition, ids, same=same, each=each, where=where)
    return [row[0] for statement in statements for row in _run(model, statement)]


def moving(
    model: type[models.Model],
    transition: Any,
    ids: Sequence[int],
    *,
    same: Mapping[str, Any] | None = None,
    each: Mapping[str, Sequence[Any]] | None = None,
    where: Mapping[str, Any] | None = None,
    returning: Sequence[str] = (),
) -> list[Statement]:
    """`move` as the statement that does it and answers the ids, or the fields `returning`; none without ids.

    Raises: as `move`.
    """
    if not ids:
        return []
    same, each, where = same or {}, each or {}, where or {}
    if any(len(values) != len(ids) for values in each.values()):
        raise ValueError("each sequence needs one value per id")
    update = _update(model, transition)
    sql = _text_of_move(update, tuple(same), tuple(each), tuple(where), tuple(returning))
    arrays = [array(ids), *(array(values) for values in each.values())]
    return [Statement(sql, [*update.set_to(same), *arrays, *update.guarded_by(where)])]


def keys_of(rows: models.QuerySet[Any]) -> Statement:
    """A query for its rows' keys, for `moving_selected`; Django works it out anew each time, which takes 0.3 ms."""
    model: Any = rows.model
    sql, parameters = rows.values_list("pk").query.get_compiler(router.db_for_write(model)).as_sql()
    return Statement(sql, list(parameters))


def moving_selected(
    model: type[models.Model],
    transition: Any,
    chosen: Statement,
    *,
    same: Mapping[str, Any],
    returning: Sequence[str],
    computed: Mapping[str, str] | None = None,
    if_any: str = "",
) -> Statement:
    """The statement that moves the rows whose keys `chosen` selects (and may lock), to be part of another.

    It sets `same` on each and answers the fields `returning` of those that moved, in no particular order. `computed`
    sets fields to expressions of SQL; nothing moves unless the part that `if_any` names has a row.

    Raises: as `move`.
    """
    update = _update(model, transition)
    # An array is worked out once, in any plan, and the planner never takes a limit of thousands for their number.
    condition = f"WHERE t.{update.key} = ANY(ARRAY({chosen.sql}))"
    if if_any:
        condition += f" AND EXISTS (SELECT FROM {if_any})"
    assigned = [f"{update.column(name)} = {sql}" for name, sql in (computed or {}).items()]
    sql = update.text(same, assigned, condition, [], returning)
    return Statement(sql, [*update.set_to(same), *chosen.parameters, *update.guarded_by({})])


def _run(model: type[models.Model], statement: Statement) -> list[tuple[Any, ...]]:
    with connections[router.db_for_write(model)].cursor() as cursor:
        cursor.execute(statement.sql, statement.parameters)
        return cursor.fetchall()


class _Update:
    """The UPDATE that moves rows `t` of a model through a transition: its text, and what goes with it."""

    def __init__(self, model: type[models.Model], transition: Any) -> None:
        state, sources, self._target = sources_and_target(model, transition)
        if any(edge.conditions for edge in _declared(model, transition)[1]):
            raise TransitionNotDeclared(f"{transition.__qualname__} has conditions that only a row can meet")
        self._sources = array(sources)
        self._model = model
        self._has_version = any(field.name == "version" for field in model._meta.concrete_fields)
        self._state = _quoted(state.column)
        self.alias = router.db_for_write(model)
        self.key_name: str = model._meta.pk.name
        self.key = self.column(self.key_name)

    def column(self, name: str) -> str:
        return _quoted(self.field(name).column)

    def field(self, name: str) -> Any:
        return self._model._meta.get_field(name)

    def text(
        self,
        same: Iterable[str],
        assignments: Iterable[str],
        chosen: str,
        where: Iterable[str],
        returning: Iterable[str],
    ) -> str:
        """Update the rows that `chosen`, the end of a statement, selects, if they are in a source state."""
        assigned = [
            f"{self._state} = %s",
            *(['"version" = t."version" + 1'] if self._has_version else []),
            *(f"{self.column(name)} = %s" for name in same),
            *assignments,
        ]
        guards = [f"t.{self._state} = ANY(%s::varchar[])", *(f"t.{self.column(name)} = %s" for name in where)]
        return (
            f"UPDATE {_quoted(self._model._meta.db_table)} AS t SET {', '.join(assigned)}"  # noqa: S608
            f" {chosen} AND {' AND '.join(guards)}"  # names come from the model, quoted
            f" RETURNING {', '.join(f't.{self.column(name)}' for name in returning)}"
        )

    def set_to(self, same: Mapping[str, Any]) -> list[Any]:
        """The parameters of what is set."""
        return [self._target, *self._as_stored(same)]

    def guarded_by(self, where: Mapping[str, Any]) -> list[Any]:
        """The parameters of the guards."""
        return [self._sources, *self._as_stored(where)]

    def _as_stored(self, values: Mapping[str, Any]) -> list[Any]:
        connection = connections[self.alias]
        return [self.field(name).get_db_prep_save(value, connection) for name, value in values.items()]


@cache
def _update(model: Any, transition: Any) -> _Update:
    return _Update(model, transition)


@cache
def _text_of_move(
    update: _Update,
    same: tuple[str, ...],
    each: tuple[str, ...],
    where: tuple[str, ...],
    returning: tuple[str, ...],
) -> str:
    arrays, names = ["%s::bigint[]"], ["id"]
    for name in each:
        arrays.append(f"%s::{array_type(update.field(name), update.alias)}")
        names.append(_quoted(name))
    chosen = f"FROM unnest({', '.join(arrays)}) AS v({', '.join(names)}) WHERE t.{update.key} = v.id"
    assignments = [f"{update.column(name)} = v.{_quoted(name)}" for name in each]
    return update.text(same, assignments, chosen, where, returning or [update.key_name])


def _quoted(name: str) -> str:
    return f'"{name}"'
