"""A coin gets worse at once and better slowly, by any measurements in any order; it never flaps."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from counter.circuit_breaker import SEVERITY, BreakerStatus, Limit, Reason, State, aged_spread_rate, judge

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
REOPEN_BELOW = Decimal("0.8")
REOPEN_AFTER = timedelta(seconds=10)
CAUSES = [Reason.EXPOSURE, Reason.VENUE_HALTED, Reason.UNKNOWN_OUTCOME]
LIMITS = {
    Reason.EXPOSURE: Limit(Decimal(100), Decimal(200)),
    Reason.VENUE_HALTED: Limit(Decimal(0), Decimal(30)),
    Reason.UNKNOWN_OUTCOME: Limit(Decimal(60), Decimal(300)),
}

amounts = st.decimals(min_value=0, max_value=400, places=1)
measured = st.dictionaries(st.sampled_from(CAUSES), amounts)
steps = st.lists(st.tuples(st.integers(min_value=1, max_value=15), measured), min_size=1, max_size=40)


def after(before, measures, at):
    return judge(
        before=before,
        measures=measures,
        limits=LIMITS,
        reopen_below=REOPEN_BELOW,
        reopen_after=REOPEN_AFTER,
        now=at,
    )


def asked_by(measures, share=Decimal(1)):
    ranks = []
    for reason, measure in measures.items():
        limit = LIMITS[reason]
        ranks.append((measure >= limit.widen_from * share) + (measure >= limit.halt_from * share))
    return max(ranks, default=0)


@given(steps)
def test_a_coin_is_never_traded_better_than_its_measures_allow(taken):
    standing, at = BreakerStatus(), NOW
    for pause, measures in taken:
        at += timedelta(seconds=pause)
        standing = after(standing, measures, at)
        assert SEVERITY[standing.state] >= asked_by(measures)
        assert bool(standing.reasons) == (standing.state is not State.NORMAL)


@given(steps)
def test_it_gets_better_one_step_at_a_time_and_only_after_its_causes_were_gone_for_long_enough(taken):
    standing, at = BreakerStatus(), NOW
    bad_at = NOW  # when last something asked for the present state, by the lower limits
    for pause, measures in taken:
        at += timedelta(seconds=pause)
        before, standing = standing, after(standing, measures, at)
        rank, was = SEVERITY[standing.state], SEVERITY[before.state]
        if rank < was:
            assert rank == was - 1
            assert asked_by(measures, REOPEN_BELOW) <= rank
            assert at - bad_at >= REOPEN_AFTER
            bad_at = at
        elif rank > was or asked_by(measures, REOPEN_BELOW) >= rank:
            bad_at = at


@given(measured, measured, st.sampled_from(State))
def test_one_cause_more_or_a_larger_one_never_makes_it_better(measures, more, state):
    worse = {
        reason: max(measures.get(reason, Decimal(0)), more.get(reason, Decimal(0)))
        for reason in measures | more
    }
    before = BreakerStatus(state, easing_since=NOW - REOPEN_AFTER)
    assert SEVERITY[after(before, worse, NOW).state] >= SEVERITY[after(before, measures, NOW).state]


@given(st.lists(st.decimals(min_value=81, max_value=199, places=1), min_size=1, max_size=50))
def test_an_exposure_that_moves_around_a_limit_changes_the_state_once(exposures):
    standing = after(BreakerStatus(), {Reason.EXPOSURE: Decimal(100)}, NOW)
    for number, exposure in enumerate(exposures):
        at = NOW + REOPEN_AFTER * (number + 1)
        standing = after(standing, {Reason.EXPOSURE: exposure}, at)
        assert standing == BreakerStatus(State.WIDE, (Reason.EXPOSURE,))


@given(measured, st.integers(min_value=1, max_value=5))
def test_it_opens_again_by_itself_once_all_causes_are_gone(measures, every):
    standing, tick = after(BreakerStatus(), measures, NOW), timedelta(seconds=every)
    at = NOW
    while at < NOW + 2 * (REOPEN_AFTER + tick) + tick:
        at += tick
        standing = after(standing, {}, at)
    assert standing == BreakerStatus()


@given(st.integers(min_value=0, max_value=10**7), st.integers(min_value=0, max_value=10**7))
def test_the_spread_of_a_stale_close_grows_with_the_age_and_stays_below_all_of_it(one, other):
    rates = [
        aged_spread_rate(
            wide_rate=Decimal("0.02"), age=timedelta(milliseconds=age), stale_after=timedelta(seconds=10)
        )
        for age in sorted([one, other])
    ]
    assert Decimal("0.02") <= rates[0] <= rates[1] < 1
    assert rates[0] >= min(Decimal("0.02") * (Decimal(min(one, other)) / 10_000) ** 2, Decimal("0.99"))
