"""The bench of exports leaves nothing behind, and stays away from databases that people work with."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.utils import DatabaseError
from django.utils import timezone

from cockpit.models import DayStatement
from counter.models import SyncOrder
from tests.support.databases import environment
from tools.bench.exports import __main__ as exports
from tools.bench.history import fill


def test_user_session_and_statement_are_gone_afterwards_also_when_it_fails(two_systems):
    fill(orders=1_000, environment=environment(), customers=30)
    day, users = exports.busiest_day(), get_user_model().objects.count()

    def fail_meanwhile():
        with exports.staff_session() as session, exports.statement_of(day) as pk:
            assert session.cookies
            assert DayStatement.objects.get(pk=pk).day == day
            assert (Session.objects.count(), get_user_model().objects.count()) == (1, users + 1)
            raise KeyError

    with pytest.raises(KeyError):
        fail_meanwhile()
    assert not DayStatement.objects.exists()
    assert (Session.objects.count(), get_user_model().objects.count()) == (0, users)
    kept = DayStatement.objects.create(day=day, content={}, digest="", made_by="ann", made_at=timezone.now())
    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM cockpit_daystatement WHERE id = %s", [kept.pk])


def test_databases_that_it_has_not_filled_are_refused(two_systems):
    with pytest.raises(exports.NotOfTheBench, match="no orders"):
        exports.busiest_day()
    fill(orders=10, environment=environment(), customers=2)
    day = exports.busiest_day()
    assert {each.placed_at.date() for each in SyncOrder.objects.all()} == {day}
    SyncOrder.objects.filter(pk=SyncOrder.objects.latest("id").pk).update(client_order_id="mine")
    with pytest.raises(exports.NotOfTheBench, match="1 orders"):
        exports.busiest_day()
    SyncOrder.objects.filter(client_order_id="mine").update(client_order_id="history-again")
    DayStatement.objects.create(
        day=day - timedelta(days=1), content={}, digest="", made_by="ann", made_at=timezone.now()
    )
    with pytest.raises(exports.NotOfTheBench, match="stated"):
        exports.busiest_day()
