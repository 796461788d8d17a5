"""Which measurements give a figure, and what becomes of a run in which one does not."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tools.bench.__main__ import Rounds
from tools.bench.load.job import Outcome
from tools.bench.peers.run import PeerFailed
from tools.bench.servers import Servers
from tools.bench.session import Session
from tools.bench.sizes import QUICK
from tools.bench.validity import judged


def outcome(**counts) -> Outcome:
    known: dict[str, Any] = {
        "offered": 1000,
        "accepted": 1000,
        "unavailable": 0,
        "refused": 0,
        "unanswered": 0,
        "refused_by_code": {},
        "orders_per_s": 500.0,
        "p50_ms": 1.0,
        "p99_ms": 2.0,
        "seconds": 2.0,
        "client_cpu_seconds": 0.1,
        "client_cpu_share": 0.05,
        "ran_dry": False,
    }
    return Outcome(**(known | counts))


def session() -> Session:
    servers = Servers(var_dir=Path("nowhere"), valkey_port=1, venue_port=2, web_port=3, keys={})
    return Session(QUICK, servers, Console(file=StringIO(), width=120))


@pytest.mark.parametrize("kind", ["refused", "unanswered", "unavailable"])
@pytest.mark.parametrize(("count", "is_fault"), [(10, False), (11, True)])
def test_one_order_in_a_hundred_may_fail_and_no_more(kind, count, is_fault):
    found = judged("single", outcome(accepted=1000 - count, **{kind: count}), may_be_overloaded=False)
    assert (found.fault is not None) is is_fault


def test_answers_503_are_a_figure_where_more_is_offered_than_can_be_taken():
    many = outcome(accepted=100, unavailable=900)
    assert judged("overload", many, may_be_overloaded=True).fault is None
    refused = outcome(accepted=100, unavailable=800, refused=100)
    assert judged("overload", refused, may_be_overloaded=True).fault


def test_closes_of_what_was_not_opened_for_overload_follow_from_it():
    code = {"position_not_found": 100}
    closes = outcome(accepted=100, unavailable=800, refused=100, refused_by_code=code)
    assert judged("overload", closes, may_be_overloaded=True).fault is None
    lone = outcome(accepted=900, refused=100, refused_by_code=code)
    assert judged("single", lone, may_be_overloaded=False).fault


def test_a_round_in_which_every_order_was_refused_is_no_round_of_zero():
    halted = outcome(accepted=0, refused=1000, orders_per_s=0.0, refused_by_code={"coin_halted": 1000})
    assert judged("batch", halted, may_be_overloaded=False).fault == (
        "no order was accepted (coin_halted 1,000)"
    )


def test_a_load_that_offered_nothing_is_a_fault():
    assert judged("batch", outcome(offered=0, accepted=0), may_be_overloaded=True).fault


def test_a_fault_makes_the_run_fail_and_its_codes_are_kept():
    running = session()
    running.judge("single", outcome(accepted=900, refused=100, refused_by_code={"quote_stale": 100}))
    [trouble] = running.trouble
    assert trouble.startswith("single: 100 of 1,000 orders were refused or unanswered")
    assert "quote_stale 100" in trouble
    assert running.loads[0]["refused_by_code"] == {"quote_stale": 100}


class Scripted:
    """A scenario whose rounds are known beforehand."""

    MAIN = "tps"

    def __init__(self, *rounds: dict | Exception) -> None:
        self._rounds = list(rounds)

    def prepare(self, session: Session) -> None:
        """Nothing to do."""

    def measure(self, session: Session) -> dict:
        found = self._rounds.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def measured(*rounds: dict | Exception) -> tuple[dict, Session]:
    report: dict = {}
    running = session()
    taken, scenario = Rounds(running, report), Scripted(*rounds)
    for number in range(len(rounds)):
        taken.measure("tpcb", scenario, number)
    return report["tpcb"], running


def test_a_faulty_round_is_in_no_median():
    found, _ = measured(
        {"tps": 10, "fault": None}, {"tps": 0, "fault": "coins are halted"}, {"tps": 30, "fault": None}
    )
    assert found["tps"] == 20
    assert found["rounds"] == [10, 30]
    assert found["faults"] == ["coins are halted"]


def test_without_a_valid_round_there_is_no_figure():
    found, _ = measured({"tps": 0, "fault": "coins are halted"})
    assert found == {"rounds": [], "faults": ["coins are halted"]}


def test_a_peer_that_fails_fails_the_run_and_the_other_rounds_go_on():
    found, running = measured(PeerFailed("tpcb: no server"), {"tps": 30})
    assert found["tps"] == 30
    assert running.trouble == ["tpcb: no server"]
