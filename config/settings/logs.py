"""Logs and errors: what is written, and what its lines are followed by."""

from config.environment import Subject

_logs = Subject("Logs")

LOG_LEVEL = _logs.choice(
    "LOG_LEVEL", "INFO", "the least that is logged", of=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
)
SENTRY_DSN = _logs.secret("SENTRY_DSN", "", "where errors are sent", shown="none")
TRACES_URL = _logs.address(
    "TRACES_URL",
    "",
    "where traces are sent, as `http://127.0.0.1:4318/v1/traces`: an OpenTelemetry collector (OTLP over HTTP)",
    shown="none",
)
TRACES_ONE_IN = _logs.count("TRACES_ONE_IN", "1", "of so many orders one is traced")
# What lines, tasks and messages are followed by: each is an id or runs of them, never an amount or a name.
CORRELATION_IDS = ("order_id", "orders", "batch", "conversion", "funds_transfer", "intervention")
CORRELATION_SINGULAR = {"orders": "order_id"}
LOGGING_CONFIG = None
