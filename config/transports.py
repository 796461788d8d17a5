"""What kombu has to be told of each kind of broker, lest anything that waits for one waits without an end."""

from typing import Any

# Publishing fails at once when nobody answers: whoever publishes goes on without a broker, and beat and the workers
# have their own patience.
FAIL_AT_ONCE = {"max_retries": 0, "interval_start": 0}


def uses_redis(url: str) -> bool:
    """Whether the broker speaks the Redis protocol; otherwise it is RabbitMQ with quorum queues."""
    return url.startswith(("redis", "unix"))


def transport_options(url: str, *, timeout_seconds: float) -> dict[str, Any]:
    """Celery's `broker_transport_options`: connecting, and each answer that somebody waits for, are bounded."""
    if uses_redis(url):
        return FAIL_AT_ONCE | {
            "socket_timeout": 5,
            "socket_connect_timeout": timeout_seconds,
            "visibility_timeout": 60,
            "retry_on_timeout": False,
            # How long a consumer may hear nothing before it takes its connection for dead: 25 s if not said here.
            "health_check_interval": 3,
        }
    return FAIL_AT_ONCE | {
        "confirm_publish": True,
        # Of every answer, a confirm included: Celery passes no other bound on.
        "read_timeout": timeout_seconds,
        "write_timeout": timeout_seconds,
    }
