"""Doors for Celery: the canary."""

from celery import Task, shared_task

from infra.broker.canary import note_return


@shared_task(name="config.canary", bind=True)
def canary(self: Task, queue: str) -> None:
    """Say that this queue's workers work."""
    sent_at = (self.request.headers or {}).get("sent_at")
    if sent_at:  # beat dates its own; one that an operator sends by hand proves nothing of beat
        note_return(queue=queue, sent_at=sent_at)
