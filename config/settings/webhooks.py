"""Webhooks: where they may be sent, how long they are tried, and how long they are kept."""

from config.environment import Subject

_webhooks = Subject("Webhooks")

WEBHOOK_ENDPOINTS_PER_CUSTOMER = _webhooks.count(
    "WEBHOOK_ENDPOINTS_PER_CUSTOMER", "5", "how many a customer may have ([webhooks](webhooks.md))"
)
WEBHOOK_HTTP = _webhooks.switch("WEBHOOK_HTTP", "0", "1: addresses may be `http://`, for trials")
WEBHOOK_PRIVATE_NETWORKS = _webhooks.networks(
    "WEBHOOK_PRIVATE_NETWORKS",
    "networks that webhooks may be sent to although they are no public ones, by everybody who has an endpoint",
)
WEBHOOK_WITHIN_SECONDS = _webhooks.seconds(
    "WEBHOOK_WITHIN_SECONDS",
    "10",
    "how long a receiver may take, from its name's look-up to its whole answer",
    least=0.1,
)
WEBHOOK_RETRY_DAYS = _webhooks.whole(
    "WEBHOOK_RETRY_DAYS", "5", "how long an event is tried before it is given up", unit="days", least=3
)
WEBHOOK_KEEP_DAYS = _webhooks.whole(
    "WEBHOOK_KEEP_DAYS",
    "30",
    "how long what was delivered or given up is kept, and can be sent again",
    unit="days",
    least=1,
)
WEBHOOK_SECRET_HOURS = _webhooks.whole(
    "WEBHOOK_SECRET_HOURS",
    "24",
    "how long the secret before signs too after a rotation",
    unit="hours",
    least=1,
)
WEBHOOK_LATE_AFTER_SECONDS = _webhooks.whole(
    "WEBHOOK_LATE_AFTER_SECONDS",
    "900",
    "how old what the exchange's endpoints have not got may grow before people are told",
    unit="seconds",
)
