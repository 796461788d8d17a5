"""Structured logs and Sentry: one line of JSON for each event on stderr, no secrets and no amounts sent outside."""

import logging
import sys
from typing import Any

import sentry_sdk
import structlog
from django.conf import settings

from infra.observability import correlation, request_ids, tracing
from infra.observability.redaction import everywhere, hiding, secrets_of, without_amounts

MAX_TAG = 200  # characters that Sentry keeps


SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    request_ids.add_request_id,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]
# One list: loggers keep the one that they met first, also when this process is configured anew.
PROCESSORS = [*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]


def configure() -> None:
    """Route the standard library's logging and structlog through one renderer; start Sentry when it has a DSN.

    Raises: ImproperlyConfigured where traces are wanted and their packages are not there.
    """
    structlog.configure(
        processors=PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Discreet(
            foreign_pre_chain=SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.LOG_LEVEL)
    for chatty in ("urllib3", "ccxt", "celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # A refused order is an answer, not an event: a line for each 4xx would only slow the others down.
    logging.getLogger("django.request").setLevel(logging.ERROR)
    if settings.SENTRY_DSN:
        start_sentry(dsn=settings.SENTRY_DSN)
    tracing.check()


class _Discreet(structlog.stdlib.ProcessorFormatter):
    """Hides secrets in the line as it will be written, tracebacks included."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._hide = hiding(secrets_of(settings))

    def format(self, record: logging.LogRecord) -> str:
        return self._hide(super().format(record))


def _tags(ids: dict[str, Any]) -> dict[str, str]:
    """Ids as Sentry can be searched by."""
    return {name: str(value)[:MAX_TAG] for name, value in correlation.singled(ids).items() if value}


def start_sentry(**options: Any) -> None:
    """Send errors, each with its place in the code and nothing of the data that it was about."""
    hide = hiding(secrets_of(settings))

    def discreet(event: Any, hint: dict[str, Any]) -> Any:
        record = hint.get("log_record")
        fields = record.msg if record is not None and isinstance(record.msg, dict) else {}
        if fields:
            event["logentry"] = {"message": str(fields.get("event", ""))}  # and none of its fields but ids
        event["tags"] = {
            **(event.get("tags") or {}),
            **_tags(
                {**correlation.bound(), **correlation.ids_of(fields), "request_id": request_ids.current()}
            ),
        }
        for part in ("extra", "breadcrumbs", "user"):
            event.pop(part, None)
        if "request" in event:
            event["request"] = {name: event["request"].get(name) for name in ("method", "url")}
        return everywhere(event, lambda text: without_amounts(hide(text)))

    sentry_sdk.init(
        **options,
        before_send=discreet,
        traces_sample_rate=0.0,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
    )
