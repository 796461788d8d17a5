"""Requests of clients that nobody trusts: bounded bodies, connections and threads."""
