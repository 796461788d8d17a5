"""Faults strike what they are aimed at, as often as they are told, the same way for the same seed."""

import pytest

from tools.paper_venue.faults import FaultInvalid, FaultKind, Faults


def struck(faults, *, times=1, method="POST", path="/api/v3/order"):
    return [set(faults.strike(method=method, path=path)) for _ in range(times)]


def test_a_fault_strikes_its_path_and_method_only():
    faults = Faults()
    faults.add({"kind": "reply_lost", "path": "/api/v3/order$", "method": "POST"})
    assert struck(faults) == [{FaultKind.REPLY_LOST}]
    assert struck(faults, method="GET") == [set()]
    assert struck(faults, path="/api/v3/order/test") == [set()]


def test_count_and_skip_say_which_requests_are_struck():
    faults = Faults()
    faults.add({"kind": "error_after", "skip": 2, "count": 1})
    assert [bool(kinds) for kinds in struck(faults, times=5)] == [False, False, True, False, False]


def test_probability_is_seeded():
    def pattern(seed):
        faults = Faults()
        faults.add({"kind": "empty_body", "probability": "0.3", "seed": seed})
        return [bool(kinds) for kinds in struck(faults, times=200)]

    assert pattern(7) == pattern(7) != pattern(8)
    assert 35 < sum(pattern(7)) < 85


def test_several_kinds_strike_together_and_are_removed_one_by_one():
    faults = Faults()
    first = faults.add({"kind": "latency", "delay_ms": 5})
    faults.add({"kind": "cut_body"})
    assert struck(faults) == [{FaultKind.LATENCY, FaultKind.CUT_BODY}]
    assert faults.remove(first.fault_id)
    assert not faults.remove(first.fault_id)
    assert struck(faults) == [{FaultKind.CUT_BODY}]
    faults.clear()
    assert struck(faults) == [set()]


@pytest.mark.parametrize(
    "description",
    [
        {},
        {"kind": "nonsense"},
        {"kind": "latency", "delay": 5},
        {"kind": "latency", "delay_ms": -5},
        {"kind": "latency", "delay_ms": "soon"},
        {"kind": "latency", "probability": 1.5},
        {"kind": "thin_book", "factor": "0"},
        {"kind": "latency", "path": "("},
    ],
)
def test_a_description_that_makes_no_sense_is_refused(description):
    faults = Faults()
    with pytest.raises(FaultInvalid):
        faults.add(description)
    assert faults.all() == []
