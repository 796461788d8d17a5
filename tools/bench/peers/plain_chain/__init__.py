"""The ordinary way to build this: Django's ORM, a row lock, one order a transaction, a Celery chain for each order.

Nothing is held back: kept and prepared database connections, no result back end, no events, acknowledgement at once, an
index for every look-up, and a venue that costs nothing (the fill is written as if it had answered at once).
"""
