"""The audit: proves the nine invariants of the design from both systems' books and the venue's, and changes nothing.

It is the one package that looks across the wall, so it belongs to neither system and nobody imports it but doors.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from ledger.decimals import calculating

if TYPE_CHECKING:
    from audit.findings import Report
    from settlement.venues.protocol import Venue


@calculating()
def run(*, now: datetime, venue: "Venue | None") -> "Report":
    """Check all nine invariants; `venue` None leaves what only the venue can tell unchecked.

    Call it outside of any transaction: it opens its own snapshot of each database.
    """
    from audit.runner import run  # models can only be imported once Django has loaded its apps

    return run(now=now, venue=venue)
