"""Sending webhooks: what an event says, when it is sent, and what became of it."""
