"""How long a run takes, scenario by scenario, where nothing else runs: said before it starts, and compared at its end.

Seconds of a virtual machine with two cores; how long a measurement lasts is known, the rest of each was measured there.
"""

from collections.abc import Collection

from tools.bench.sizes import Sizes

START_SECONDS = 26.0  # both servers, the peers' databases, migrations, all programs, readiness
STACK_SECONDS = 28.0
READY_SECONDS = 1.0
AUDIT_SECONDS = 2.0
OFFER_SECONDS = 2.5  # building the requests, and working off what is left
WARM_UP_SECONDS = 3.5
FILLED_PER_SECOND = 8_000
PLAIN_CHAIN_PER_SECOND = 70


def planned_seconds(sizes: Sizes, names: Collection[str]) -> dict[str, float]:
    """Seconds for the start, and for each of these scenarios with all its rounds."""
    offered = sizes.open_loop_seconds
    rates = len(sizes.rates) + sizes.further_rates
    listening = sizes.streaming_idle_seconds + 1.5 + sizes.listeners / 400
    stage = (
        sizes.growth_rounds * (2 * sizes.batch_seconds + sizes.warm_up_seconds + READY_SECONDS + 1.5)
        + 1.5 * sizes.growth_seconds
        + OFFER_SECONDS
    )
    every = {
        "tpcb": sizes.rounds * (sizes.tpcb_seconds + 0.5),
        "hordak": sizes.rounds * (sizes.hordak_seconds + 3.0),
        "plain_chain": sizes.rounds * (6.0 + sizes.plain_chain_orders / PLAIN_CHAIN_PER_SECOND),
        "batch": sizes.rounds * (4 * sizes.batch_seconds + 2 * sizes.warm_up_seconds + 3.0 + AUDIT_SECONDS),
        "single": sizes.rounds * (1.6 * sizes.single_seconds + 2.0 + AUDIT_SECONDS) + 3.5,
        "single_with_desk": sizes.rounds * (1.2 * sizes.single_seconds + 2.0 + AUDIT_SECONDS),
        "demo_rate": (sizes.demo_rate_idle_seconds + sizes.demo_rate_seconds + AUDIT_SECONDS + 1.0),
        "end_to_end": rates * (1.5 * offered + OFFER_SECONDS) + AUDIT_SECONDS,
        "overload": 1.5 * offered + OFFER_SECONDS + AUDIT_SECONDS,
        "streaming": (
            3 * listening
            + 3 * sizes.streaming_rounds * (sizes.streaming_seconds + sizes.streaming_pause_seconds + 1.5)
            + AUDIT_SECONDS
        ),
        "growth": (
            (STACK_SECONDS if sizes.growth_on_new_stack else 0.0)
            + len(sizes.earlier_orders) * stage
            + AUDIT_SECONDS
            + sizes.earlier_orders[-1] / FILLED_PER_SECOND
        ),
        "desk_result": (
            2 * (STACK_SECONDS + WARM_UP_SECONDS + sizes.desk_result_seconds + OFFER_SECONDS + AUDIT_SECONDS)
        ),
    }
    once = ("demo_rate", "end_to_end", "overload", "streaming", "growth")
    if first := next((name for name in once if name in names), None):
        every[first] += WARM_UP_SECONDS
    return {"start": START_SECONDS} | {name: seconds for name, seconds in every.items() if name in names}


def in_words(seconds: float) -> str:
    """About so long, for people."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
