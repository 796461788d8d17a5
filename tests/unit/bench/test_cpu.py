"""CPU time for one order."""

from tools.bench import cpu


def run(rate: int, **terms) -> dict:
    known = {
        "offered_per_s": rate,
        "seconds": 20.0,
        "accepted_per_s": float(rate),
        "fault": None,
        "sustained": True,
        "cpu_seconds": {"web": 2.0, "postgres": 1.0, "load": 0.5},
    }
    return known | terms


def test_seconds_are_shared_by_the_orders_that_were_accepted_meanwhile():
    [found] = cpu.summary({"demo_rate": {"run": run(50)}})["rates"]
    assert found["orders"] == 1000
    assert found["ms"] == {"web": 2.0, "postgres": 1.0}
    assert (found["total_ms"], found["load_ms"]) == (3.0, 0.5), "the client is no part of what an order costs"


def test_the_demos_a_steady_and_the_highest_sustained_rate_are_told():
    runs = [run(1000), run(3000), run(10_000, sustained=False)]
    found = cpu.summary({"demo_rate": {"run": run(50)}, "end_to_end": {"runs": runs, "offered_per_s": 3000}})
    assert [(each["rate"], each["offered_per_s"]) for each in found["rates"]] == [
        ("the demo's", 50),
        ("steady", 1000),
        ("highest sustained", 3000),
    ]


def test_a_run_that_is_no_measurement_has_no_cpu_figure():
    [found] = cpu.summary({"demo_rate": {"run": run(50, fault="coins are halted")}})["rates"]
    assert found["total_ms"] is None


def test_client_network_are_told_by_program_and_together():
    found = cpu.summary(
        {"tpcb": {"cpu_ms": {"postgres": 0.25, "pgbench": 0.05}}, "plain_chain": {"rounds": []}}
    )
    assert found == {"tpcb": {"ms": {"postgres": 0.25, "pgbench": 0.05}, "total_ms": 0.3, "load_ms": None}}


def test_nothing_is_told_of_what_was_not_measured():
    assert cpu.summary({"batch": {"orders_per_s": 1.0}}) is None
