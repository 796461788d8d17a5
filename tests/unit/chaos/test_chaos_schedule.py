"""The schedule is decided by the seed alone."""

from itertools import pairwise

import pytest

from tools.chaos.schedule import QUIET_AT_START_SECONDS, UnknownWord, chosen, plan

NAMES = ["kill:web", "pause:web", "kill:feed", "kill:feed-standby", "cut:venue-line", "fault:venue-latency"]


def test_the_same_seed_gives_the_same_schedule_in_any_order_of_the_names():
    first = plan(seed=7, seconds=300, names=NAMES)
    assert first == plan(seed=7, seconds=300, names=NAMES[::-1])
    assert first != plan(seed=8, seconds=300, names=NAMES)


@pytest.mark.parametrize("seed", range(20))
def test_no_target_is_broken_twice_at_a_time_and_all_is_over_in_time(seed):
    steps = plan(seed=seed, seconds=200, names=NAMES)
    assert steps[0].at == QUIET_AT_START_SECONDS
    assert all(earlier.at <= later.at for earlier, later in pairwise(steps))
    assert all(1 <= step.seconds <= 15 and step.ends_at <= 200.001 for step in steps)
    for target in {step.target for step in steps}:
        of_target = [step for step in steps if step.target == target]
        assert all(earlier.ends_at <= later.at for earlier, later in pairwise(of_target))


def test_each_injection_comes_before_any_comes_a_second_time():
    names = [f"kill:{number}" for number in range(30)]
    steps = plan(seed=1, seconds=600, names=names)
    assert {step.name for step in steps[:30]} == set(names)


def test_lanes_run_side_by_side_so_that_each_kind_comes_within_the_two_minutes_of_a_run():
    parts = [f"kill:{number}" for number in range(30)]
    venue = [f"fault:venue-{number}" for number in range(31)]
    clocks = [f"jump:{number}-clock" for number in range(9)]
    for seed in range(5):
        steps = plan(seed=seed, seconds=120, names=[*parts, *venue, *clocks])
        come = {step.name for step in steps}
        assert {*parts, *venue} <= come, seed
        assert len(come & {*clocks}) >= 8, seed


def test_what_one_lane_breaks_does_not_change_what_another_does():
    clocks = ["jump:web-clock", "jump:feed-clock"]
    alone = plan(seed=3, seconds=120, names=clocks)
    beside = plan(seed=3, seconds=120, names=[*NAMES, *clocks])
    assert [step for step in beside if step.name in clocks] == alone


def test_nothing_to_inject_is_an_empty_schedule():
    assert plan(seed=1, seconds=60, names=[]) == []


@pytest.mark.parametrize(
    ("only", "without", "left"),
    [
        ((), (), sorted(NAMES)),
        ((), ("web", "feed"), ["cut:venue-line", "fault:venue-latency"]),
        (("venue",), (), ["cut:venue-line", "fault:venue-latency"]),
        (("kill",), ("feed-standby",), ["kill:feed", "kill:web"]),
        (("kill:web", "fault"), (), ["fault:venue-latency", "kill:web"]),
    ],
)
def test_words_choose_by_kind_by_target_or_by_the_beginning_of_a_target(only, without, left):
    assert chosen(NAMES, only=only, without=without) == left


def test_a_word_that_names_nothing_is_refused():
    with pytest.raises(UnknownWord, match="wbe is none"):
        chosen(NAMES, only=("wbe",), without=())
