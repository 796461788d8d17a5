"""How available the order endpoint was, and what the customers know of their orders."""

from tools.chaos.answers import Outage, availability
from tools.load.heard import Answered, Heard, SentRequest

YES, ERROR, LATE = Answered.YES, Answered.SERVER_ERROR, Answered.TIMED_OUT


def test_all_that_was_answered_in_time_without_a_5xx_counts():
    asked = [SentRequest(n, n + 0.1, YES) for n in range(97)]
    asked += [
        SentRequest(97, 98, ERROR, "503", "503 desk_behind"),
        SentRequest(98, 108, LATE),
        SentRequest(99, 100, Answered.CONNECTION_LOST),
    ]
    found = availability(asked, [])
    assert (found.share, found.overall, found.requests) == (0.97, 0.97, 100)
    assert found.failed == {"503 desk_behind": 1, "time-out": 1, "connection lost": 1}
    assert found.examples[0] == "5xx: 503"


def test_what_was_under_way_in_an_outage_is_counted_apart_whether_it_failed_or_not():
    asked = [
        SentRequest(1, 2, YES),
        SentRequest(4, 6, ERROR, "", "503 unavailable"),
        SentRequest(5.5, 5.6, YES),
        SentRequest(8, 9, YES),
    ]
    found = availability(asked, [Outage("web", 5, 7)])
    assert (found.share, found.overall, found.requests) == (1.0, 0.75, 2)
    assert found.apart == {"web": {"requests": 2, "failed": 1, "kinds": {"503 unavailable": 1}}}


def test_every_failure_is_counted_by_its_code_the_commonest_first():
    asked = [
        SentRequest(n, n + 0.1, ERROR, "", code) for n, code in enumerate(["502", *["503 overloaded"] * 3])
    ]
    found = availability([*asked, SentRequest(9, 10, YES)], [])
    assert list(found.failed.items()) == [("503 overloaded", 3), ("502", 1)]
    assert sum(found.failed.values()) == found.requests - round(found.share * found.requests)


def test_it_is_told_from_when_to_when_requests_failed_and_how():
    code = "503 overloaded"
    asked = [
        SentRequest(100, 100.1, YES),
        *(SentRequest(at, at + 0.5, ERROR, "", code) for at in (103, 104.2, 105.9, 120)),
    ]
    found = availability([*asked, SentRequest(110, 120.4, LATE)], [])
    assert found.spans == {code: [(3, 6), (20, 20)], "time-out": [(20, 20)]}


def test_no_request_has_no_availability():
    assert availability([], []).share is None


def test_an_order_has_an_outcome_once_it_is_accepted_or_refused():
    heard = Heard()
    heard.sent(["a", "b", "c"])
    heard.accept("a", 1)
    heard.refuse("b", "quote_stale")
    assert (heard.without_outcome, heard.accepted, heard.refused) == ({"c"}, {"a": 1}, {"quote_stale": 1})


def test_two_different_orders_for_one_request_are_a_contradiction():
    heard = Heard()
    heard.accept("a", 1)
    heard.accept("a", 1)
    assert heard.contradicted == []
    heard.accept("a", 2)
    assert heard.contradicted == ["a"]
