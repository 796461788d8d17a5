"""How many orders are admitted while the desk is behind: the whole loop by a clock of its own, at known speeds."""

import pytest

from counter.trading.back_pressure import LEAST, WHOLE, DeskLoad, Pace
from counter.trading.desk_load import pause_seconds
from tests.support.model_desk import BOUNDS, Model


def warm(orders_per_s, *, offered_per_s=50, **terms):
    """A desk that has had orders for a while."""
    return Model(orders_per_s=orders_per_s, **terms).run(10, offered_per_s=offered_per_s)


@pytest.mark.parametrize("offered_per_s", [1, 50, 1_000, 2_500])
def test_a_desk_that_keeps_up_is_offered_everything(offered_per_s):
    model = Model(orders_per_s=3_000).run(20, offered_per_s=offered_per_s)
    assert (model.refused(), model.share) == (0, WHOLE)


@pytest.mark.parametrize(
    ("orders_per_s", "offered_per_s"),
    [(1_500, 3_000), (1_500, 10_000), (3_000, 4_000), (3_000, 10_000), (8_000, 20_000)],
)
def test_at_sustained_overload_nine_tenths_of_the_capacity_are_settled_in_about_a_second(
    orders_per_s, offered_per_s
):
    model = warm(orders_per_s).run(20, offered_per_s=offered_per_s)
    assert model.settled_per_s(since=20) >= 0.9 * orders_per_s
    assert model.oldest_seconds(since=20) < 1.5
    assert model.age(since=20) < 1.5


@pytest.mark.parametrize(("orders_per_s", "offered_per_s"), [(400, 1_000), (700, 10_000)])
def test_a_slow_desk_is_given_as_much_too_and_never_more_waits_than_is_few(orders_per_s, offered_per_s):
    model = warm(orders_per_s).run(40, offered_per_s=offered_per_s)
    assert model.settled_per_s(since=20) >= 0.9 * orders_per_s
    assert model.oldest_seconds(since=20) < 1.7 * BOUNDS.few_orders / orders_per_s


def test_a_desk_whose_rounds_are_slow_because_the_machine_is_starved_still_gets_large_ones():
    """Half a second for a round of any size: with few orders in each it would settle few."""
    model = warm(3_000, round_seconds=0.5).run(20, offered_per_s=10_000)
    assert model.settled_per_s(since=20) > 700
    assert model.oldest_seconds(since=20) < 1.8


@pytest.mark.parametrize(
    ("orders_per_s", "offered_per_s"), [(1_500, 3_000), (3_000, 10_000), (8_000, 20_000)]
)
def test_all_is_admitted_within_two_seconds_after_the_crowd_has_gone(orders_per_s, offered_per_s):
    model = warm(orders_per_s).run(20, offered_per_s=offered_per_s)
    gone_at = model.now
    model.run(10, offered_per_s=0.6 * orders_per_s)
    assert model.last_refusal_at() - gone_at < 2.0
    assert model.share == WHOLE


@pytest.mark.parametrize("silent_seconds", [2.5, 4.0, 6.0])
def test_who_comes_after_a_crowd_and_a_silence_is_not_refused_by_what_was_heard_in_the_crowd(silent_seconds):
    """In the silence no order tells the processes that the desk has worked everything off."""
    model = Model(2_000).run(4, offered_per_s=20_000)
    model.run(silent_seconds, offered_per_s=0)
    began_at = model.now
    model.run(3, offered_per_s=500)
    assert model.refused(since=began_at) <= 0.01 * 1_500


def test_a_crowd_of_a_moment_that_the_desk_settles_within_the_bound_is_taken_whole():
    model = warm(3_000)
    for _ in range(10):
        model.run(0.2, offered_per_s=4_000).run(2, offered_per_s=50)
    assert model.refused() == 0


@pytest.mark.parametrize("orders_per_s", [100, 3_000])
@pytest.mark.parametrize("seconds", [2, 5, 10])
def test_at_50_a_second_no_stall_of_the_desk_refuses_anybody(orders_per_s, seconds):
    model = warm(orders_per_s).rest(seconds, offered_per_s=50).run(20, offered_per_s=50)
    assert model.refused() == 0


def test_a_desk_that_is_killed_again_and_again_refuses_nobody_at_50_a_second():
    model = warm(500)
    for _ in range(6):
        model.rest(4, offered_per_s=50).run(3, offered_per_s=50)
    assert model.refused() == 0


@pytest.mark.parametrize("seconds", [5, 10])
def test_at_1000_a_second_a_stall_costs_only_what_could_not_be_settled_soon_after_it(seconds):
    model = warm(3_000, offered_per_s=1_000).rest(seconds, offered_per_s=1_000)
    back_at = model.now
    assert model.accepted - model.settled > 2_500
    model.run(10, offered_per_s=1_000)
    assert max(age for at, age in model.ages if at - age > back_at) < 1.5
    assert model.last_refusal_at() - back_at < 4.0


def test_what_a_desk_has_shown_that_it_settles_is_remembered():
    """A stall of a second at 1,000 a second is nothing to a desk that has worked off 3,000 before."""
    model = warm(3_000).run(5, offered_per_s=4_000).run(10, offered_per_s=1_000)
    before = model.refused()
    model.rest(1, offered_per_s=1_000).run(5, offered_per_s=1_000)
    assert model.refused() == before


@pytest.mark.parametrize("offered_per_s", [2_500, 10_000])
def test_a_desk_that_stands_still_is_left_with_what_it_works_off_in_three_seconds_and_a_hundredth(
    offered_per_s,
):
    model = warm(3_000, offered_per_s=offered_per_s).rest(60, offered_per_s=offered_per_s)
    assert model.load().behind < 3.3 * 3_000 + 0.01 * 60 * offered_per_s
    back_at = model.now
    model.run(20, offered_per_s=offered_per_s)
    assert model.settled_per_s(since=back_at + 10) >= 0.8 * min(3_000, offered_per_s)
    assert model.oldest_seconds(since=back_at + 5) < 1.5


def test_a_desk_that_becomes_faster_or_slower_is_followed():
    model = warm(3_000).run(20, offered_per_s=12_000)
    model.orders_per_s = 1_200
    model.run(15, offered_per_s=12_000)
    assert 0.85 * 1_200 < model.settled_per_s(since=model.now - 5) < 1.1 * 1_200
    assert model.oldest_seconds(since=model.now - 5) < 1.7
    model.orders_per_s = 6_000
    model.run(15, offered_per_s=12_000)
    assert model.settled_per_s(since=model.now - 5) > 0.85 * 6_000
    assert model.oldest_seconds(since=model.now - 5) < 1.5


@pytest.mark.parametrize("told_venue_seconds", [0.1, 1.5])
def test_a_slow_venue_is_not_a_desk_that_is_behind(told_venue_seconds):
    model = Model(orders_per_s=3_000, venue_seconds=1.5, told_venue_seconds=told_venue_seconds)
    assert model.run(40, offered_per_s=300).refused() == 0


def test_orders_that_are_overtaken_hold_up_nobody():
    """Thousands whose outcome at the venue is being found out, for minutes."""
    model = warm(3_000, offered_per_s=500)
    model.stuck = [model.now - 0.5] * 5_000
    assert model.run(60, offered_per_s=500).refused() == 0


def test_one_order_alone_is_never_a_desk_that_is_behind():
    model = Model(orders_per_s=3_000, stuck=[0.0])
    assert model.run(60, offered_per_s=0).run(10, offered_per_s=50).refused() == 0


def test_a_new_measurer_goes_on_with_the_share_that_was_stored():
    model = warm(3_000).run(20, offered_per_s=12_000)
    model.restart_measurer()
    model.run(10, offered_per_s=12_000)
    assert model.settled_per_s(since=model.now - 9) > 0.85 * 3_000
    assert model.oldest_seconds(since=model.now - 9) < 2.2
    assert model.oldest_seconds(since=model.now - 5) < 1.5


def test_a_new_measurer_refuses_nobody_whom_a_busy_desk_settles_soon():
    model = warm(3_000, offered_per_s=2_000, venue_seconds=0.6)
    assert model.load().behind > BOUNDS.few_orders
    before = model.refused()
    model.restart_measurer()
    assert model.run(10, offered_per_s=2_000).refused() == before


def test_a_new_measurer_of_a_desk_that_stands_still_lets_in_a_few():
    model = Model(orders_per_s=3_000, is_away=True).run(30, offered_per_s=1_000)
    assert model.load().behind < 3.3 * BOUNDS.few_orders


def test_a_new_measurer_of_an_idle_desk_opens_soon_after_any_stored_share():
    model = Model(orders_per_s=3_000, share=10).run(5, offered_per_s=50)
    assert model.share == WHOLE
    assert model.last_refusal_at() < 4.0


def test_measurements_that_are_far_apart_or_of_another_database_decide_nothing():
    pace = Pace(share=300)
    behind = DeskLoad(settled=10_000, waiting=9_000, behind=9_000, behind_seconds=3.0)
    assert pace.take(behind, BOUNDS, at=0.0) == 300
    assert pace.take(behind, BOUNDS, at=60.0) == 300
    assert pace.take(DeskLoad(settled=5, waiting=9_000, behind=9_000), BOUNDS, at=60.25) == 300
    assert pace.take(DeskLoad(settled=5, waiting=9_000, behind=9_000), BOUNDS, at=60.25) == 300


def test_a_coin_that_a_person_lets_go_is_admitted_whole_and_paced_again_by_what_was_learned():
    model = warm(3_000).run(10, offered_per_s=10_000)
    model.is_paced = False
    model.run(1, offered_per_s=3_000)
    let_go_at = model.now
    model.rest(5, offered_per_s=10_000)
    assert model.refused(since=let_go_at) == 0
    model.is_paced = True
    model.run(1, offered_per_s=10_000)
    assert model.share < 0.1 * WHOLE


def test_a_slow_desk_that_becomes_fast_is_found_out_though_its_venue_takes_seconds():
    """It settles less often than a desk that is restarted would be missed: that is its venue, not a pause."""
    model = warm(50, rounds=1).run(60, offered_per_s=1_000)
    model.orders_per_s, model.venue_seconds = 3_000, 2.5
    model.run(60, offered_per_s=1_000)
    assert model.settled_per_s(since=model.now - 20) > 600


@pytest.mark.parametrize("took_seconds", [0.01, 0.2, 1.2, 4.5])
def test_a_share_follows_the_desk_however_long_it_takes_to_measure(took_seconds):
    every_seconds = took_seconds + pause_seconds(took_seconds=took_seconds)
    pace, idle = Pace(share=10), DeskLoad(settled=5_000, waiting=0)
    shares = [pace.take(idle, BOUNDS, at=number * every_seconds) for number in range(40)]
    assert shares[-1] == WHOLE
    stalled = [DeskLoad(5_000, waiting=count, behind=count) for count in range(5_000, 205_000, 5_000)]
    shares = [
        pace.take(load, BOUNDS, at=(40 + number) * every_seconds) for number, load in enumerate(stalled)
    ]
    assert shares[-1] == LEAST
