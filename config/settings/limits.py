"""Limits of customers and their orders, and of what waits for the desk."""

from config.environment import Subject

_limits = Subject("Limits and protections")

REQUESTS_PER_SECOND = _limits.count("REQUESTS_PER_SECOND", "20", "of each customer besides orders, sustained")
REQUESTS_AT_ONCE = _limits.count("REQUESTS_AT_ONCE", "100", "of each customer besides orders, at once")
PUBLIC_REQUESTS_PER_SECOND = _limits.count(
    "PUBLIC_REQUESTS_PER_SECOND",
    "10",
    "of each address that asks for the market without credentials, sustained",
)
PUBLIC_REQUESTS_AT_ONCE = _limits.count("PUBLIC_REQUESTS_AT_ONCE", "50", "of each such address, at once")
CONNECTIONS_PER_ADDRESS = _limits.count(
    "CONNECTIONS_PER_ADDRESS",
    "2000",
    "of one address to each web process; any number from `TRUSTED_PROXIES` ([all such bounds](internet-exposure.md))",
)
WEB_STATEMENT_SECONDS = _limits.seconds(
    "WEB_STATEMENT_SECONDS", "10", "how long one statement may take in the web processes"
)
CUSTOMER_CONTRACTS = _limits.whole(
    "CUSTOMER_CONTRACTS",
    "1000000",
    "what a customer may have open ([limits](decisions/limits.md)), unless the customer has limits of their own",
)
CUSTOMER_NOTIONAL_USDT = _limits.amount(
    "CUSTOMER_NOTIONAL_USDT", "5000000", "cost of what a customer may have open"
)
CUSTOMER_ORDERS_PER_S = _limits.whole(
    "CUSTOMER_ORDERS_PER_S",
    "200",
    "orders that a customer may place in a second; those of ten seconds at once",
    least=1,
)
CUSTOMER_BURST_SECONDS = 10  # so many seconds' orders may come at once
MAX_BATCH_ORDERS = 1000
ORDER_WITHIN_SECONDS = _limits.seconds(
    "ORDER_WITHIN_SECONDS",
    "2",
    "from an order's arrival; later nothing of it is placed ([deadlines](decisions/deadlines.md))",
    least=1.0,
)
SERIES_CONTRACTS = _limits.whole(
    "SERIES_CONTRACTS", "1000000", "what all customers together may have open of one option"
)
SERIES_NOTIONAL_USDT = _limits.amount(
    "SERIES_NOTIONAL_USDT", "20000000", "cost of what all customers together may have open of one option"
)
INSTANT_PAYOUT_FLOAT_USDT = _limits.amount(
    "INSTANT_PAYOUT_FLOAT_USDT",
    "5000000",
    "paid to customers for closes and not settled yet: beyond it closes are paid at fill only",
)
SYNC_OVERDUE_AFTER_SECONDS = 2.0
# While more of a coin waits than the desk, as fast as it has shown to be, settles in so long, beyond two answers of the
# venue, no more is taken than it settles. Any machine settles a few in about a second, also one that has shown none.
DESK_BEHIND_AFTER_SECONDS = _limits.seconds(
    "DESK_BEHIND_AFTER_SECONDS",
    "0.6",
    "how long an order of a coin may have to wait for those before it; where it would be longer, no more is taken than "
    "is settled ([back-pressure](decisions/back-pressure.md))",
    least=0.1,
)
DESK_FEW_ORDERS = _limits.whole(
    "DESK_FEW_ORDERS",
    "1000",
    "unsettled orders of a coin below which no refusal begins, however slow the desk seems",
    least=1,
)
WITHDRAWAL_OVERDUE_AFTER_SECONDS = _limits.whole(
    "WITHDRAWAL_OVERDUE_AFTER_SECONDS",
    "3600",
    "how long the wallet service may take to confirm or release a withdrawal before people are told",
    unit="seconds",
)
STOP_TAKE_BACK_SECONDS = _limits.whole(
    "STOP_TAKE_BACK_SECONDS",
    "600",
    "how long the person who threw a kill switch may take that stop back alone, if nothing else happens to the coin; "
    "0: an approver always resumes trading ([how](runbook-trading.md#stopping-trading))",
    unit="seconds",
    most=86_400,
)
