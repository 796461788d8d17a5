"""How long the bench says that it takes."""

from tools.bench.budget import in_words, planned_seconds
from tools.bench.scenarios import ONCE, REPEATED, usual
from tools.bench.sizes import FULL, QUICK

EVERY = (*REPEATED, *ONCE)


def test_a_quick_run_that_names_nothing_is_planned_to_end_within_three_minutes():
    assert sum(planned_seconds(QUICK, usual(quick=True)).values()) <= 170


def test_a_quick_run_of_everything_is_planned_to_end_within_five_minutes():
    assert sum(planned_seconds(QUICK, EVERY).values()) <= 300


def test_each_scenario_has_its_time():
    for sizes in (QUICK, FULL):
        planned = planned_seconds(sizes, EVERY)
        assert set(planned) == {"start", *EVERY}
        assert all(seconds > 0 for seconds in planned.values())


def test_what_is_not_asked_for_takes_no_time():
    assert set(planned_seconds(QUICK, ["tpcb"])) == {"start", "tpcb"}


def test_the_first_scenario_that_warms_the_stack_up_pays_for_it():
    alone = planned_seconds(QUICK, ["overload"])["overload"]
    assert alone > planned_seconds(QUICK, ["end_to_end", "overload"])["overload"]


def test_times_are_said_in_minutes_and_seconds():
    assert [in_words(59.6), in_words(59.4), in_words(167)] == ["1 min 0 s", "59 s", "2 min 47 s"]
