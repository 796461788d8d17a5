"""No state has SQL as its only exit: each has an owner and something that ends it, which is really there."""

import pytest
from celery import current_app
from django.contrib.auth.models import Permission
from django.urls import NoReverseMatch, reverse
from django_celery_beat.models import PeriodicTask

from audit import graphs
from cockpit import state_exits
from cockpit.state_exits import AT_REST, EXITS, NO_TASKS, Exit, declared, operations, unended
from settlement.interventions.operations import SUBJECTS

pytestmark = pytest.mark.django_db(databases=["default"])
ROWS = [(model, state) for model, states in EXITS.items() for state in states]


def address(name: str) -> str:
    """The admin's page of this name, with an id or without."""
    for arguments in ([], [1]):
        try:
            return reverse(f"admin:{name}", args=arguments)
        except NoReverseMatch:
            continue
    raise AssertionError(f"no page {name}")


def has_permission(name: str) -> bool:
    label, codename = name.split(".")
    return Permission.objects.filter(content_type__app_label=label, codename=codename).exists()


def test_each_state_that_is_declared_is_ended_by_somebody():
    assert unended() == []


@pytest.mark.parametrize(("model", "state"), ROWS)
def test_what_ends_a_state_is_there(model, state):
    row = EXITS[model][state]
    if row.sweep and row.sweep not in NO_TASKS:
        current_app.loader.import_default_modules()
        assert row.sweep in current_app.tasks
        assert PeriodicTask.objects.filter(task=row.sweep, enabled=True).exists()
    for page in row.pages:
        assert address(page.url)
        assert has_permission(page.permission)
    for operation in operations(model, state):
        subject = SUBJECTS[operation.subject]._meta
        assert reverse(f"admin:{subject.app_label}_{subject.model_name}_operate", args=[1, operation.kind])
        assert has_permission(operation.permission)
    assert row.rests or row.who


def test_what_no_transition_leaves_is_at_rest_and_what_people_alone_end_says_so():
    from django.apps import apps

    by_name = {model.__name__: model for model in apps.get_models()}
    for model, state in declared():
        if model in state_exits.UNDECLARED:
            continue
        if state not in graphs.unfinished(by_name[model]):
            assert EXITS[model][state].rests, (model, state)


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ({"Conversion": {**EXITS["Conversion"], "PLANNED": Exit("nobody knows")}}, "PLANNED: nobody ends it"),
        ({"Conversion": {"PLANNED": AT_REST}}, "Conversion MANUAL: no row"),
        ({"Conversion": {**EXITS["Conversion"], "LIMBO": AT_REST}}, "LIMBO: no such state"),
    ],
)
def test_a_state_that_nobody_ends_is_seen(monkeypatch, planted, said):
    monkeypatch.setattr(state_exits, "EXITS", {**EXITS, **planted})
    assert any(said in line for line in unended())


def test_a_state_that_is_new_is_seen_until_somebody_ends_it(monkeypatch):
    monkeypatch.setattr(state_exits, "declared", lambda: iter([*declared(), ("Conversion", "LIMBO")]))
    assert unended() == ["Conversion LIMBO: no row"]
