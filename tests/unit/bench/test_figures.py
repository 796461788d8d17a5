"""The arithmetic behind the bench's figures."""

import pytest

from tools.bench.aims import aims
from tools.bench.load.counts import Counts, percentile
from tools.bench.load.wire import Answer
from tools.bench.medians import medians


def test_percentiles_are_samples_and_exact():
    values = [float(number) for number in range(1, 1001)]
    assert percentile(values[::-1], 0.50) == 501.0
    assert percentile(values, 0.99) == 991.0
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.99) is None


def test_the_median_is_taken_figure_by_figure():
    rounds = [
        {"tps": 10, "of_100": {"p99_ms": 3.0}, "ran_dry": False, "codes": {}},
        {"tps": 30, "of_100": {"p99_ms": 1.0}, "ran_dry": False, "codes": {"quote_stale": 2}},
        {"tps": 20, "of_100": {"p99_ms": 2.5}, "ran_dry": True, "codes": {}},
    ]
    assert medians(rounds) == {"tps": 20, "of_100": {"p99_ms": 2.5}, "ran_dry": True, "codes": {}}


def test_orders_are_counted_by_what_became_of_them():
    counts = Counts()
    body = b'{"results":[{"status":201,"order":{}},{"status":422,"error":{"code":"insufficient_balance"}}]}'
    counts.add(Answer(200, body), orders=2, seconds=0.5, in_time=True, timed=True)
    counts.add(Answer(201, b"{}"), orders=1, seconds=0.1, in_time=False, timed=True)
    counts.add(
        Answer(503, b'{"error":{"code":"overloaded"}}'), orders=10, seconds=0.1, in_time=True, timed=True
    )
    some = b'{"results":[{"status":201,"order":{}},{"status":503,"error":{"code":"desk_behind"}}]}'
    counts.add(Answer(200, some), orders=2, seconds=0.2, in_time=True, timed=True)
    counts.add(Answer(502, b"<html>"), orders=10, seconds=0.1, in_time=True, timed=True)
    assert (counts.accepted, counts.accepted_in_time, counts.unavailable, counts.refused) == (3, 2, 11, 11)
    assert counts.seconds == [0.5, 0.1, 0.2], "what was refused was no wait for an accepted order"
    assert counts.codes() == {
        "insufficient_balance": 1,
        "overloaded": 1,
        "desk_behind": 1,
        "no_json": 1,
    }


@pytest.mark.parametrize(("batch", "is_met"), [(4000.0, True), (3999.0, False)])
def test_an_aim_is_met_at_its_bound(batch, is_met):
    [aim] = aims({"tpcb": {"tps": 1000.0}, "batch": {"orders_per_s": batch}})
    assert aim.is_met is is_met


def test_scenarios_that_were_not_run_are_not_judged():
    assert aims({"single": {"orders_per_s": 1.0}}) == []
