"""What a process takes while the desk is behind: by coin, by customer, and closes first."""

import threading

import pytest

from counter.orders.requests import BEHIND, CloseRequest, OpenRequest
from counter.orders.throttle import ASKS_AFTER_SECONDS, HEARD_WITHIN_SECONDS, Throttle, fair_part

STEP_SECONDS = 0.01


class Process:
    """A process on a clock of its own: customers offer so many orders a second, and what is taken is counted."""

    def __init__(self):
        self.now = 0.0
        self.throttle = Throttle(clock=lambda: self.now)

    def run(self, seconds, *, share, rates, coin="BTC", orders_each=1, closes=()):
        """Orders a second that were taken, by customer; those of `closes` close."""
        taken = dict.fromkeys(rates, 0)
        owed = dict.fromkeys(rates, 0.0)
        for _ in range(round(seconds / STEP_SECONDS)):
            self.now += STEP_SECONDS
            self.throttle.hear({coin: share})
            for customer, rate in rates.items():
                owed[customer] += rate * STEP_SECONDS
                while owed[customer] >= orders_each:
                    owed[customer] -= orders_each
                    taken[customer] += self._taken(customer, coin, orders_each, is_close=customer in closes)
        return {customer: count / seconds for customer, count in taken.items()}

    def _taken(self, customer, coin, count, *, is_close):
        if is_close:
            return sum(
                self.throttle.admits_close(coin, CloseRequest(customer, "x", position_id=1))
                for _ in range(count)
            )
        return count - len(self.throttle.refused([opening(customer, coin)] * count))


def opening(customer=1, coin="BTC"):
    return OpenRequest(customer, "x", f"{coin}-1JAN27-50000-C", 1)


@pytest.fixture
def process():
    return Process()


def test_nothing_is_refused_of_a_coin_that_is_not_behind(process):
    assert process.run(2, share=1000, rates={1: 5_000}) == {1: pytest.approx(5_000, abs=5)}
    assert process.run(2, share=None, rates={1: 5_000}) == {1: pytest.approx(5_000, abs=5)}


@pytest.mark.parametrize("share", [100, 300, 900])
@pytest.mark.parametrize("orders_each", [1, 20])
def test_the_share_of_what_is_offered_is_taken(process, share, orders_each):
    rates = dict.fromkeys(range(40), 100)
    process.run(3, share=share, rates=rates, orders_each=orders_each)
    taken = process.run(10, share=share, rates=rates, orders_each=orders_each)
    assert sum(taken.values()) == pytest.approx(4_000 * share / 1000, rel=0.2)


def test_a_crowd_that_doubles_gets_no_more_at_once(process):
    process.run(5, share=200, rates=dict.fromkeys(range(40), 50))
    taken = process.run(0.5, share=200, rates=dict.fromkeys(range(40), 100))
    assert sum(taken.values()) < 2 * 400


def test_another_coin_is_not_refused(process):
    process.run(3, share=10, rates={1: 1_000})
    refused = process.throttle.refused([opening(coin="BTC"), opening(coin="ETH"), opening(coin="BTC")])
    assert refused == {0: BEHIND, 2: BEHIND}


def test_who_asks_for_most_leaves_the_others_theirs(process):
    rates = {0: 10_000} | dict.fromkeys(range(1, 40), 10)
    process.run(5, share=100, rates=rates)
    taken = process.run(10, share=100, rates=rates)
    crowd = sum(taken.values()) - taken[0]
    assert crowd > 0.9 * 390
    assert sum(taken.values()) == pytest.approx(0.1 * 10_390, rel=0.2)


def test_another_share_holds_from_the_moment_in_which_it_is_heard(process):
    """A window later would be a quarter of a second more of what the desk cannot settle."""
    rates = dict.fromkeys(range(10), 100)
    process.run(5.01, share=500, rates=rates)
    assert sum(process.run(0.2, share=20, rates=rates).values()) < 0.1 * 1_000
    process.run(5, share=20, rates=rates)
    assert sum(process.run(0.2, share=900, rates=rates).values()) > 0.8 * 1_000


def test_closes_go_before_opens_but_are_bounded_too(process):
    rates = {1: 1_000, 2: 100}
    process.run(5, share=300, rates=rates, closes={2})
    taken = process.run(10, share=300, rates=rates, closes={2})
    assert taken[2] == pytest.approx(100, rel=0.05)
    only_closes = process.run(20, share=300, rates={2: 1_000}, closes={2})
    assert only_closes[2] < 500


def test_a_share_that_was_heard_long_ago_says_nothing(process):
    process.run(3, share=10, rates={1: 1_000})
    process.now += HEARD_WITHIN_SECONDS + 1
    assert process.throttle.refused([opening()] * 10) == {}


def test_all_is_taken_again_when_the_desk_is_not_behind_any_more(process):
    process.run(3, share=10, rates={1: 1_000})
    process.throttle.hear({"BTC": 1000})
    assert process.throttle.refused([opening()] * 100) == {}


def test_something_is_always_taken_so_that_the_next_share_is_heard(process):
    taken = process.run(20, share=10, rates={1: 5})
    assert taken[1] > 0.5


def test_a_process_that_took_nothing_lately_lets_one_order_through_to_hear(process):
    process.run(3, share=10, rates={1: 1_000}, orders_each=40)
    process.now += 2
    while not process.throttle.refused([opening()] * 400):
        pass  # until it has taken more than its rate brings back within seconds
    process.now += ASKS_AFTER_SECONDS
    taken = [40 - len(process.throttle.refused([opening()] * 40)) for _ in range(3)]
    assert taken == [1, 0, 0], (
        "one order: of a batch of any size, until the share is heard or half a second is over"
    )
    process.now += ASKS_AFTER_SECONDS
    assert 40 - len(process.throttle.refused([opening()] * 40)) == 1


def test_a_process_that_hears_all_the_time_lets_nothing_through_beside_its_rate(process):
    process.run(3, share=10, rates={1: 1_000}, orders_each=40)
    process.now += 2
    while not process.throttle.refused([opening()] * 400):
        pass
    process.throttle.hear({"BTC": 10})
    process.now += ASKS_AFTER_SECONDS / 2
    assert len(process.throttle.refused([opening()] * 40)) == 40


def test_a_share_that_falls_does_not_make_up_for_what_was_let_through_before(process):
    """It would be deaf meanwhile, and the desk would run dry."""
    rates = dict.fromkeys(range(10), 1_000)
    process.run(5, share=900, rates=rates)
    assert sum(process.run(1, share=20, rates=rates).values()) == pytest.approx(0.02 * 10_000, rel=0.3)


def test_many_threads_take_no_more_than_one(process):
    process.run(3, share=100, rates={1: 1_000})
    taken = []

    def ask():
        taken.extend(1 - len(process.throttle.refused([opening()])) for _ in range(200))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) < 30


@pytest.mark.parametrize(
    ("wanted", "total", "part"),
    [([10, 10, 10], 15, 5), ([1, 2, 100], 13, 10), ([1, 1, 1], 30, 28), ([], 5, 5), ([7], 3, 3)],
)
def test_the_fair_part_is_what_nobody_could_have_more_of_without_taking_it_from_a_poorer_one(
    wanted, total, part
):
    assert fair_part(wanted, total=total) == pytest.approx(part)
    assert sum(min(each, part) for each in wanted) <= total
