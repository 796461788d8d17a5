"""A worker states and closes the days that people ask for: seen as it goes, each once, and none in front of another."""

from contextlib import nullcontext
from datetime import timedelta
from decimal import Inexact

import pytest
from django.db import DataError, InterfaceError, InternalError, OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext
from psycopg.errors import LockNotAvailable, NumericValueOutOfRange, ReadOnlySqlTransaction

from cockpit import day_costs, day_work, days, snapshot
from cockpit.alerts import alerts
from cockpit.days import DayRefused
from cockpit.models import DayClose, DayStatement, DayWork
from counter.models import Transfer
from infra.broker.dispatcher import dispatcher
from infra.coordination import clock
from settlement.reconciliation import venue_differences
from tests.support.staff import staff as staff_of


@pytest.fixture
def sent(monkeypatch):
    """What is sent to the workers, instead of to the broker."""
    chains = []
    monkeypatch.setattr(dispatcher, "send", chains.append)
    return chains


@pytest.fixture
def work(later, venue):
    """What the task does."""
    return lambda: day_work.work_off(clock=lambda: later, venue=venue)


def test_people_make_see_and_close_it_in_the_admin(today, later, monkeypatch, sent, work):
    monkeypatch.setattr(clock.of("default"), "now", lambda: later)
    operator, approver, viewer = (staff_of(role, role=role) for role in ("operator", "approver", "viewer"))
    assert approver.post("/admin/days/make/", {"day": today}).status_code == 403
    operator.post("/admin/days/make/", {"day": today})
    assert sent == [day_work.TASK]
    waiting = viewer.get("/admin/days/").content.decode()
    assert "the statement, asked for by operator" in waiting
    assert "0 of 6" in waiting
    assert 'hx-get="/admin/days/"' in waiting
    assert work() == 1
    assert 'hx-get="/admin/days/"' not in viewer.get("/admin/days/").content.decode()
    page = f"/admin/days/{DayStatement.objects.get().pk}/"
    assert "stated by operator, not closed" in viewer.get(page).content.decode()
    assert "for good" not in operator.get(page).content.decode()
    assert "for good" in approver.get(page).content.decode()
    assert operator.post(f"{page}close/").status_code == 403
    assert approver.post(f"{page}close/").status_code == 302
    waiting = approver.get(page).content.decode()
    assert "the close, asked for by approver" in waiting
    assert f'hx-get="{page}bar/"' in waiting
    assert "for good" not in waiting
    assert not DayClose.objects.exists()
    assert work() == 1
    closed = viewer.get(page).content.decode()
    assert "closed by operator and approver" in closed
    assert "customers (2)" in closed
    assert "by approver" in viewer.get("/admin/days/").content.decode()
    file = viewer.get(f"{page}file.csv")
    assert b"".join(file.streaming_content).startswith(b"what,")
    assert staff_of("eve").get("/admin/days/").status_code == 403
    operator.post("/admin/days/make/", {"day": today})
    for wrong in ("nonsense", "9999-12-31"):
        assert operator.post("/admin/days/make/", {"day": wrong}).status_code == 302
    assert DayStatement.objects.count() == DayWork.objects.count() - 1 == 1


def test_the_page_says_how_far_a_worker_is(today, later, monkeypatch, sent, work):
    monkeypatch.setattr(clock.of("default"), "now", lambda: later)
    day_work.ask_statement(day=today, by="ann", now=later)
    viewer, seen, read = staff_of("vic", role="viewer"), [], days.rows_of

    def looked_at(*question):
        page = viewer.get("/admin/days/").content.decode()
        seen.extend((n, step) for n, step in enumerate(days.STEPS) if f"{n} of 6" in page and step in page)
        return read(*question)

    for module in (days, day_costs, venue_differences):
        monkeypatch.setattr(module, "rows_of", looked_at)
    assert work() == 1
    assert list(dict.fromkeys(seen)) == list(enumerate(days.STEPS))


def test_the_bar_of_a_day_is_looked_at_without_its_content_and_the_page_is_loaded_once_more(
    today, later, monkeypatch, sent, work
):
    monkeypatch.setattr(clock.of("default"), "now", lambda: later)
    statement = days.state(day=today, by="ann", now=later)
    day_work.ask_close(statement=statement, by="bob", now=later)
    viewer, bar = staff_of("vic", role="viewer"), f"/admin/days/{statement.pk}/bar/"
    with CaptureQueriesContext(connection) as asked:
        answer = viewer.get(bar)
    assert "the close, asked for by bob" in answer.content.decode()
    assert f'hx-get="{bar}"' in answer.content.decode()
    assert not [each["sql"] for each in asked if '"content"' in each["sql"]]
    work()
    over = viewer.get(bar)
    assert (over.content, over.headers["HX-Refresh"]) == (b"", "true")
    assert staff_of("eve").get(bar).status_code == 403


def test_what_is_asked_for_again_is_done_once_and_another_waits(today, later, sent, work):
    first = day_work.ask_statement(day=today, by="ann", now=later)
    assert day_work.ask_statement(day=today, by="tom", now=later).pk == first.pk
    work()
    assert work() == 0
    statement = DayStatement.objects.get()
    assert statement.made_by == "ann"
    again = day_work.ask_statement(day=today, by="ann", now=later)
    with pytest.raises(DayRefused, match="being worked on"):
        day_work.ask_close(statement=statement, by="bob", now=later)
    work()
    again.refresh_from_db()
    assert again.statement_id == DayStatement.objects.latest("id").pk != statement.pk


def test_the_two_people_are_judged_when_it_is_asked_for_and_when_it_is_done(today, later, sent, work):
    statement = days.state(day=today, by="ann", now=later)
    with pytest.raises(DayRefused, match="somebody else"):
        day_work.ask_close(statement=statement, by="ann", now=later)
    assert not DayWork.objects.exists()
    # Past the door, as no page lets anybody.
    DayWork.objects.create(day=today, kind="CLOSE", statement=statement, asked_by="ann", asked_at=later)
    work()
    assert "somebody else" in DayWork.objects.get().refusal
    assert not DayClose.objects.exists()


def test_books_that_change_before_it_is_done_are_not_closed_and_the_page_says_so(
    today, later, monkeypatch, sent, work
):
    monkeypatch.setattr(clock.of("default"), "now", lambda: later)
    statement = days.state(day=today, by="ann", now=later)
    day_work.ask_close(statement=statement, by="bob", now=later)
    leg = Transfer.objects.latest("id")
    leg.pk, leg._state.adding = None, True
    leg.save(force_insert=True)
    assert work() == 1
    assert not DayClose.objects.exists()
    viewer = staff_of("vic", role="viewer")
    assert (
        "The close was not done: the books have changed"
        in viewer.get(f"/admin/days/{statement.pk}/").content.decode()
    )
    assert "was not done: the books have changed" in viewer.get("/admin/days/").content.decode()


def test_what_a_worker_is_at_no_other_takes(today, later, sent, monkeypatch, work):
    day_work.ask_statement(day=today, by="ann", now=later)
    monkeypatch.setattr(day_work, "exclusive", lambda *args, **kwargs: nullcontext(False))
    assert work() == 0
    assert not DayStatement.objects.exists()


def caused(error, cause):
    """As Django raises it."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [KeyError("part"), Inexact(), caused(DataError("overflow"), NumericValueOutOfRange())],
    ids=["key", "inexact", "data"],
)
def test_a_day_that_fails_is_ended_with_a_reason_and_the_other_days_are_done(
    today, later, monkeypatch, sent, work, error
):
    before, add_up = today - timedelta(days=1), days.add_up

    def fails(day, **told):
        if day == before:
            raise error
        return add_up(day, **told)

    monkeypatch.setattr(days, "add_up", fails)
    for day in (before, today):
        day_work.ask_statement(day=day, by="ann", now=later)
    assert work() == 2
    assert DayWork.objects.get(day=before).refusal == day_work.FAILED
    assert [each.day for each in DayStatement.objects.all()] == [today]
    assert work() == 0


@pytest.mark.parametrize(
    ("error", "is_over"),
    [
        (caused(InternalError("a standby since the failover"), ReadOnlySqlTransaction()), True),
        (InterfaceError("the connection is closed"), True),
        (caused(OperationalError("a lock is held"), LockNotAvailable()), False),
    ],
    ids=["demoted", "closed", "locked"],
)
def test_what_is_not_now_waits_and_a_session_that_is_over_is_left(
    today, later, monkeypatch, sent, work, error, is_over
):
    before, add_up, left = today - timedelta(days=1), days.add_up, []

    def fails(day, **told):
        if day == before:
            raise error
        return add_up(day, **told)

    monkeypatch.setattr(days, "add_up", fails)
    monkeypatch.setattr(connection, "close", lambda: left.append("default"))
    for day in (before, today):
        day_work.ask_statement(day=day, by="ann", now=later)
    assert work() == (0 if is_over else 1)
    assert bool(left) == is_over
    assert DayWork.objects.get(day=before).ended_at is None
    monkeypatch.setattr(days, "add_up", add_up)
    assert work() == (2 if is_over else 1)


def test_a_desk_that_does_not_answer_leaves_the_request_for_the_next_run(today, later, sent, work, desk_away):
    day_work.ask_statement(day=today, by="ann", now=later)
    assert work() == 0
    waiting = DayWork.objects.get()
    assert (waiting.ended_at, waiting.step) == (None, 1)
    assert not DayStatement.objects.exists()
    connections["desk"].close()


def test_a_day_that_no_worker_takes_is_an_alert_and_one_that_comes_further_is_none(today, later, sent, work):
    def alerted(after):
        figures = snapshot.read(now=later + after)
        return [each for each in alerts(figures) if each.code == "day_waiting"]

    day_work.ask_statement(day=today, by="ann", now=later)
    assert alerted(timedelta(minutes=9)) == []
    [alert] = alerted(timedelta(minutes=11))
    assert (alert.count, alert.url) == (1, "/admin/days/")
    DayWork.objects.update(step=1, stepped_at=later + timedelta(minutes=10))
    assert alerted(timedelta(minutes=11)) == []
    assert len(alerted(timedelta(minutes=21))) == 1
    assert work() == 1
    assert alerted(timedelta(minutes=21)) == []
