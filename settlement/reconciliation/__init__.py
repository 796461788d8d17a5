"""Reconciliation: the venue's trades and wallets, the desk's book and counter's clearing, each held against the next.

The desk does it alone: it reads its own database, asks the venue, and asks counter over HTTP. The comparison with the
venue is the one that the audit makes; a run differs in that it begins at a watermark, and in that what it finds is kept
as breaks, which only a later run closes.
"""

from settlement.reconciliation.running import reconcile

__all__ = ["reconcile"]
