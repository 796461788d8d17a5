"""Rows with a lifecycle: their state is set by the transitions that the model declares, and by nothing else."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from django.db import models
from django_fsm import FSMFieldMixin


def state_fields(model: type[models.Model]) -> list[FSMFieldMixin]:
    """The fields that hold states of a model."""
    return [field for field in model._meta.concrete_fields if isinstance(field, FSMFieldMixin)]


class Mover(NamedTuple):
    """An operation that calls a transition, on rows in some of its source states; none named are all."""

    transition: Any
    sources: tuple[str, ...]
    operation: Callable[..., Any]


MOVERS: list[Mover] = []
F = TypeVar("F", bound=Callable[..., Any])


def moves(transition: Any, *sources: str) -> Callable[[F], F]:
    """Declare that the operation below calls a transition; the page of states shows it, and a test walks them all.

    Name the source states where it calls it on some of them only.
    """

    def declare(operation: F) -> F:
        MOVERS.append(Mover(transition, tuple(map(str, sources)), operation))
        return operation

    return declare


def movers_of(model: type[models.Model], transition_name: str, source: str) -> Iterator[Callable[..., Any]]:
    """The operations that move rows of a model out of a state by a transition."""
    for mover in MOVERS:
        if mover.transition is getattr(model, transition_name) and source in (mover.sources or (source,)):
            yield mover.operation


def initial_state(model: type[models.Model]) -> str:
    """The state that a new row of a model is in."""
    return str(state_fields(model)[0].default)


def may(user: Any, row: models.Model, transition: Any) -> bool:
    """Whether a user has the permission that a declared transition of the row's model asks for, in any state of it."""
    declared = (
        edge
        for field in state_fields(type(row))
        for edge in field.get_all_transitions(type(row))
        if getattr(type(row), edge.name) is transition
    )
    return all(edge.has_perm(row, user) for edge in declared)


class Lifecycle(models.Model):
    """A row whose protected state cannot be assigned, though the row can be read anew.

    The library's own mixin lifts the protection on the class while one row is read anew: for all threads, and for good
    when the row is gone. This one touches its own row only.
    """

    class Meta:
        abstract = True

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Any] | None = None,
    ) -> None:
        """Read the row anew, as every model does; what it shows stays when it is gone."""
        deferred = self.get_deferred_fields()
        wanted = (
            {field.attname for field in self._meta.concrete_fields} - deferred
            if fields is None
            else set(fields)
        )
        states = {field.attname for field in state_fields(type(self))} & wanted
        # A state that is not there yet may be set.
        shown = {name: self.__dict__.pop(name) for name in states if name in self.__dict__}
        try:
            super().refresh_from_db(using, wanted, from_queryset)
        except BaseException:
            self.__dict__.update(shown)
            raise
        if fields is None:
            self._prefetched_objects_cache: dict[str, Any] = {}
            for relation in self._meta.related_objects:
                if relation.is_cached(self):
                    relation.delete_cached_value(self)
