"""What kombu has to be told of each kind of broker, lest anything that waits for one waits without an end."""

from typing import Any

# Publishing fails when each broker was tried once: the publisher goes on without a broker, and beat and the workers
# have their own patience. Kombu would end with a first broker that says nothing for the whole time of one try.
FAIL_AT_ONCE = {"interval_start": 0, "connect_retries_timeout": None}


def urls_of(url: str) -> list[str]:
    """The brokers, or Sentinels, that one setting names: the first is tried first (`amqp://a;amqp://b`)."""
    return [each.strip() for each in url.split(";") if each.strip()]


def uses_redis(url: str) -> bool:
    """Whether they speak the Redis protocol, found by Sentinels or not; otherwise it is RabbitMQ with quorum queues."""
    return url.startswith(("redis", "unix", "sentinel"))


def transport_options(url: str, *, timeout_seconds: float, sentinel_master: str = "") -> dict[str, Any]:
    """Celery's `broker_transport_options`: connecting, and each answer that somebody waits for, are bounded.

    `sentinel_master` is what Sentinels call the broker.
    """
    options: dict[str, Any] = FAIL_AT_ONCE | {"max_retries": len(urls_of(url)) - 1}
    if not uses_redis(url):
        return options | {
            "confirm_publish": True,
            # Of every answer, a confirm included: Celery passes no other bound on.
            "read_timeout": timeout_seconds,
            "write_timeout": timeout_seconds,
        }
    options |= {
        "socket_timeout": 5,
        "socket_connect_timeout": timeout_seconds,
        "visibility_timeout": 60,
        "retry_on_timeout": False,
        # How long a consumer may hear nothing before it takes its connection for dead: 25 s if not said here.
        "health_check_interval": 3,
    }
    if url.startswith("sentinel"):
        # Each Sentinel is asked once: redis-py would ask a silent one eleven times before the next.
        asking = {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds, "retry": None}
        options |= {"master_name": sentinel_master, "sentinel_kwargs": asking}
    return options
