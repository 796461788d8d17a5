"""Bulk state transitions: the declared django-fsm graph applied to many rows in one statement.

The transition method itself is the argument, so its declared sources and target are the only graph there is: a row
that is not in a source state is left alone and its id is missing from the answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections, models, router


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
    state, sources, target = sources_and_target(model, transition)
    each = each or {}
    if any(len(values) != len(ids) for values in each.values()):
        raise ValueError("each sequence needs one value per id")
    connection = connections[router.db_for_write(model)]
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)

    def field(name: str) -> Any:
        return model._meta.get_field(name)

    def column(name: str) -> str:
        return quote(field(name).column)

    def as_stored(name: str, value: Any) -> Any:
        return field(name).get_db_prep_save(value, connection)

    assignments = [f"{quote(state.column)} = %s"]
    parameters: list[Any] = [target]
    for name, value in (same or {}).items():
        assignments.append(f"{column(name)} = %s")
        parameters.append(as_stored(name, value))
    assignments += [f"{column(name)} = v.{quote(name)}" for name in each]
    if any(concrete.name == "version" for concrete in model._meta.concrete_fields):
        assignments.append('"version" = t."version" + 1')

    arrays = ["%s::bigint[]"]
    parameters.append(list(ids))
    for name, values in each.items():
        arrays.append(f"%s::{field(name).db_type(connection)}[]")
        parameters.append([as_stored(name, value) for value in values])
    names = ", ".join(["id", *(quote(name) for name in each)])

    guards = [f"t.{quote(state.column)} = ANY(%s)"]
    parameters.append(sources)
    for name, value in (where or {}).items():
        guards.append(f"t.{column(name)} = %s")
        parameters.append(as_stored(name, value))

    key = column(model._meta.pk.name)
    sql = (
        f"UPDATE {table} AS t SET {', '.join(assignments)} "  # noqa: S608 - names come from the model, quoted
        f"FROM unnest({', '.join(arrays)}) AS v({names}) "
        f"WHERE t.{key} = v.id AND {' AND '.join(guards)} RETURNING t.{key}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [row[0] for row in cursor.fetchall()]
