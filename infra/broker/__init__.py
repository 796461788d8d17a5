"""Queues, tasks and what travels through the broker: bounded, signed, and none of it needed."""
