"""How long, how often and how much: the only thing in which a quick run differs from a full one."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Seconds are measured seconds of one round; rates are orders offered in a second."""

    rounds: int
    warm_up_seconds: float
    tpcb_seconds: int
    tpcb_scale: int  # branches: more than clients, or they would measure each other's locks
    hordak_seconds: float
    plain_chain_orders: int
    batch_seconds: float
    single_seconds: float
    rates: tuple[int, ...]
    further_rates: int
    open_loop_seconds: float
    demo_rate_seconds: float
    demo_rate_idle_seconds: float
    desk_result_seconds: float  # of each recorded market
    listeners: int
    streaming_rounds: int
    streaming_seconds: float
    streaming_idle_seconds: float
    streaming_pause_seconds: float  # after each round, for what it left to do
    growth_on_new_stack: bool
    growth_rounds: int
    growth_seconds: float
    earlier_orders: tuple[int, ...]  # beside those that the stack has by then


FULL = Sizes(
    rounds=5,
    warm_up_seconds=1.0,
    tpcb_seconds=10,
    tpcb_scale=20,
    hordak_seconds=10.0,
    plain_chain_orders=3_000,
    batch_seconds=5.0,
    single_seconds=10.0,
    rates=(1_000, 5_000, 10_000),
    further_rates=4,
    open_loop_seconds=30.0,
    demo_rate_seconds=20.0,
    demo_rate_idle_seconds=10.0,
    desk_result_seconds=60.0,
    listeners=1_000,
    streaming_rounds=6,
    streaming_seconds=4.0,
    streaming_idle_seconds=8.0,
    streaming_pause_seconds=2.0,
    growth_on_new_stack=True,
    growth_rounds=3,
    growth_seconds=30.0,
    earlier_orders=(0, 1_000_000, 5_000_000),
)
QUICK = Sizes(
    rounds=1,
    warm_up_seconds=0.5,
    tpcb_seconds=2,
    tpcb_scale=10,
    hordak_seconds=1.0,
    plain_chain_orders=150,
    batch_seconds=1.0,
    single_seconds=1.0,
    rates=(1_000, 10_000),
    further_rates=1,
    open_loop_seconds=3.0,
    demo_rate_seconds=10.0,
    demo_rate_idle_seconds=2.0,
    desk_result_seconds=15.0,
    listeners=100,
    streaming_rounds=1,
    streaming_seconds=1.5,
    streaming_idle_seconds=1.0,
    streaming_pause_seconds=0.3,
    growth_on_new_stack=False,
    growth_rounds=1,
    growth_seconds=1.5,
    earlier_orders=(0, 20_000),
)
