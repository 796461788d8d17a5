"""Runs of ids name exactly the orders that they were made of, and a line is told by what it is about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.contextvars import bound_contextvars

from cockpit.following import follow
from config.celery import drop_ids, send_ids_along, take_up_ids
from infra.observability import correlation


@given(st.sets(st.integers(1, 60)), st.integers(1, 60))
def test_runs_cover_their_ids_and_no_other(ids, order_id):
    assert correlation.covers(correlation.runs(ids), order_id) == (order_id in ids)


@pytest.mark.parametrize(
    ("ids", "written"), [([], ""), ([17], "17"), ([3, 1, 2, 2], "1-3"), ([9, 1, 2, 11, 10], "1-2 9-11")]
)
def test_runs_are_short(ids, written):
    assert correlation.runs(ids) == written


LINES = [
    {"timestamp": "1", "event": "orders published", "batch": "b1", "orders": "17-20"},
    {"timestamp": "1", "event": "orders published", "batch": "b2", "orders": "21"},
    {"timestamp": "2", "event": "orders taken in", "batch": "b1 b2", "orders": "17-21"},
    {"timestamp": "3", "event": "orders netted", "batch": "b1 b2", "orders": "17 19", "conversion": 5},
    {"timestamp": "3", "event": "orders netted", "batch": "b1 b2", "orders": "18 20-21", "conversion": 6},
    {"timestamp": "4", "event": "moved", "batch": "b1 b2", "conversion": 5, "to_state": "FILLED"},
    {"timestamp": "4", "event": "moved", "conversion": 6, "to_state": "FILLED"},
    {"timestamp": "5", "event": "orders reported", "orders": "17-21", "conversion": "5-6"},
    {"timestamp": "6", "event": "counter cannot read a settlement", "order_id": 18},
    {"timestamp": "7", "event": "nothing converted", "batch": "b1"},
]


@pytest.mark.parametrize(
    ("order_id", "times"), [(17, "123457"), (18, "1234567"), (21, "123457"), (22, ""), (5, ""), (1, "")]
)
def test_an_order_is_followed_by_its_own_lines_alone(order_id, times):
    found = follow(reversed(LINES), order_id)
    assert "".join(line["timestamp"] for line in found) == times
    states = [line["conversion"] for line in found if line["event"] == "moved"]
    assert states == {17: [5], 18: [6], 21: [6]}.get(order_id, [])


class Asked:
    """A task as Celery shows it to who looks at it before it runs."""

    def __init__(self, headers):
        self.request = headers


def test_a_task_runs_under_the_ids_it_was_sent_with_and_leaves_none_behind():
    headers = {}
    with bound_contextvars(batch="b1", customer="nobody else's business"):
        send_ids_along(headers=headers)
    assert correlation.bound() == {}
    take_up_ids(task=Asked(headers))
    assert correlation.bound() == {"batch": "b1"}
    drop_ids()
    assert correlation.bound() == {}
    take_up_ids(task=Asked({}))  # sent by who knew nothing of ids
    assert correlation.bound() == {}
