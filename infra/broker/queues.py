"""The queues that workers consume, under the stack's own names.

What is configured, scheduled or given to a worker calls them by their short names; only the broker sees the long ones.
"""

from kombu import Exchange, Queue

from infra.broker.transports import uses_redis


def worker_queue_name(queue: str, *, stack: str) -> str:
    """What the broker calls one of the queues that workers consume."""
    return f"{stack}.{queue}"


def worker_queues(queues: tuple[str, ...], *, stack: str, url: str) -> list[Queue]:
    """Celery's `task_queues`: each known by its short name too."""
    arguments = None if uses_redis(url) else {"x-queue-type": "quorum"}
    names = [(queue, worker_queue_name(queue, stack=stack)) for queue in queues]
    return [
        Queue(name, Exchange(name), routing_key=name, alias=queue, queue_arguments=arguments)
        for queue, name in names
    ]
