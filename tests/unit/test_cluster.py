"""The arithmetic of the laboratory of hosts: what counts as a failure, and what a year of faults comes to."""

import json
from types import SimpleNamespace

import pytest

from tools.cluster import page
from tools.cluster.faults import FAULTS
from tools.cluster.results import is_whole, measured
from tools.cluster.writable import Writable

PROOF = {
    "lost": [],
    "not at the desk": [],
    "doubled": [],
    "placed after a final refusal": [],
    "settled": True,
    "audit": {"broken": 0},
}


def heard(due, *tries, outcome="ok"):
    return {"due": due, "tries": list(tries), "outcome": outcome}


def test_an_order_fails_when_its_first_answer_is_late_or_no_201_and_nothing_is_set_apart():
    sent = [
        heard(99.0, (0.1, "201")),
        heard(100.0, (0.1, "unavailable"), (0.5, "201")),
        heard(101.0, (2.5, "201")),
        heard(102.0, (3.0, "Timeout"), (95.0, "unavailable"), outcome="unknown"),
        heard(103.0, (0.2, "201")),
    ]
    found = measured(sent, per_s=1.0)
    assert (found["requests"], found["failed_at_first"], found["failed_with_retry"]) == (5, 3, 2)
    assert (found["outage_s"], found["span_s"]) == (3.0, 3.0)
    assert found["answers"] == {"unavailable": 1, "201": 1, "Timeout": 1}
    assert found["outcomes"] == {"ok": 4, "unknown": 1}


def test_without_a_failure_there_is_no_outage():
    found = measured([heard(1.0, (0.1, "201"))], per_s=1.0)
    assert (found["outage_s"], found["span_s"]) == (0.0, 0.0)


def test_the_engine_is_out_while_no_host_takes_a_commit_for_more_than_a_second():
    writable = Writable(SimpleNamespace(members=[]))
    writable.commits = [90.0, 99.0, 99.8, 100.4, 106.0, 106.2, 108.0]
    assert writable.gaps(after=100.0) == [(100.4, 106.0), (106.2, 108.0)]
    writable.commits = [100.0 + each / 5 for each in range(50)]
    assert writable.gaps(after=101.0) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"lost": ["x"]},
        {"doubled": ["x"]},
        {"not at the desk": ["x"]},
        {"settled": False},
        {"trouble": "the programs were not replaced"},
        {"audit": {"broken": 1}},
    ],
)
def test_a_run_is_whole_only_if_everything_holds(wrong):
    assert is_whole(PROOF)
    assert not is_whole(PROOF | wrong)


def run(fault, outage_s):
    return {
        "fault": fault,
        "requests": 1000,
        "outage_s": outage_s,
        "failed_at_first": 10,
        "failed_with_retry": 5,
        "gaps_s": [1.5, 2.0],
        "failed_while_writable_s": 0.5,
        "load_average": 3.0,
        "proof": PROOF,
    }


def test_the_page_adds_up_a_year_and_says_what_it_lacks():
    name = "host-killed"
    written = page.page([run(name, 60.0), run(name, 90.0), run(name, 120.0)])
    minutes = FAULTS[name].a_year * 90 / 60
    assert f"**Sum: {minutes:.1f} minutes a year**" in written
    assert f"`{name}` (3)" in written
    assert "**Not run**: `no-fault`" in written
    assert "3 of 3" in written
    assert "| 2.0, 2.0 | 0.5, 0.5 |" in written


def test_without_runs_there_is_no_sum():
    written = page.page([])
    assert "No run yet" in written
    assert "Sum:" not in written
    assert f"Results count since {page.SINCE}." in written


def test_failures_while_a_host_took_commits_are_what_crossbook_adds():
    late = (0.1, "coin_halted")
    sent = [heard(due, late) for due in (97.0, 98.5, 100.0, 104.9, 105.5, 120.0)]
    found = measured(sent, per_s=2.0, gaps=[(100.0, 105.0), (119.0, 121.0)])
    assert found["failed_at_first"] == 6
    assert (found["failed_while_writable"], found["failed_while_writable_s"]) == (2, 1.0)
    assert found["gaps_s"] == [5.0, 2.0]


def test_the_page_is_that_of_its_results():
    assert page.PAGE.read_text() == page.page(json.loads(page.KEPT.read_text()))
