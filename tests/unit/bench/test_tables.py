"""What the bench prints of a run, also of one in which little could be measured."""

from io import StringIO

from rich.console import Console

from tools.bench.table import show
from tools.bench.tables import tables


def shown(**report) -> str:
    known = {
        "quick": True,
        "started_at": "2026-11-29T18:00:00+00:00",
        "commit": "0123456789ab",
        "machine": {"cores": 2, "memory_gib": 24.0, "python": "3.11.7", "postgresql": "18.6", "fsync": "on"},
        "seconds": 100.0,
        "planned_seconds": {"start": 30.0, "batch": 10.0},
        "took_seconds": {"start": 31.0, "batch": 12.0},
        "audits": [],
        "loads": [],
        "trouble": [],
    }
    out = StringIO()
    show(known | report, console=Console(file=out, width=200))
    return out.getvalue()


def load(**counts) -> dict:
    known = {"offered": 100, "accepted": 100, "unavailable": 0, "refused": 0, "unanswered": 0}
    return {"what": "single", "refused_by_code": {}, "fault": None} | known | counts


def test_a_scenario_without_a_valid_round_has_no_figure_and_no_zero():
    faults = {"rounds": [], "faults": ["no order was accepted (coin_halted 1,000)"]}
    text = shown(
        batch=faults,
        single=faults,
        tpcb={"tps": 1000, "p50_ms": 1.0, "p99_ms": 2.0},
        overload={"fault": "what can be taken is not known"},
        trouble=["batch of 1,000: no order was accepted (coin_halted 1,000)"],
    )
    [row] = [line for line in text.splitlines() if "batch of 1,000 " in line and "│" in line]
    assert "none" in row
    assert " 0 " not in row
    assert "not measured" in text, "no aim is met by what was not measured"
    assert "coin_halted 1,000" in text


def test_refusals_stand_in_the_table_with_their_codes():
    text = shown(
        loads=[load(), load(what="batch", accepted=97, refused=3, refused_by_code={"quote_stale": 3})]
    )
    [row] = [line for line in text.splitlines() if "quote_stale" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "batch",
        "100",
        "97",
        "0",
        "3",
        "0",
        "quote_stale 3",
    ]


def test_a_run_without_refusals_says_so():
    assert "every order of 2 measurements was accepted" in shown(loads=[load(), load()])


def test_time_taken_stands_beside_the_planned():
    text = " ".join(shown().split())
    assert "it took 1 min 40 s, 40 s were planned" in text
    assert "start 31 (30), batch 12 (10)" in text


def test_what_converting_cost_stands_by_cause_and_market():
    gains = {
        key: {"bp": -1.5} for key in ("slippage", "quote_age", "wait", "sending", "spread_and_depth", "limit")
    }
    gains |= {key: {"bp": None} for key in ("order_by_order", "fees", "order_by_order_fees")}
    run = {"accepted": 700, "offered": 750, "settle_above_venue_ms": {"p50": 20.0, "p99": 1234.5}}
    market = {"name": "crash", "speed": 60, "venue_orders": 1_000, "misses": 2, "run": run, "result": gains}

    [table] = tables({"desk_result": {"rate": 50, "markets": [market]}})

    assert table.headings == ("", "crash, 60 x")
    told = dict(table.rows)
    assert told["orders accepted"] == "700 of 750"
    assert told["settle above venue p50, p99 ms"] == "20.0, 1,234.5"
    assert told["of it the wait for the round"] == "-1.50"
    assert told["fees, bp"] == "none"


def test_recordings_that_are_not_there_have_no_table():
    assert list(tables({"desk_result": {"left_out": "no recordings"}})) == []
