"""Structured logs, the ids that are followed through them, and what never gets into them."""
