"""One order's timeline: everything that happened to it in both systems and at the venue, in order of time.

Data first: each part reads its own side by primary key or index and tells it as events; a page only shows them.
"""

from cockpit.timeline.collecting import OrderTimeline, timeline
from cockpit.timeline.events import Event
from cockpit.timeline.searching import Match, find

__all__ = ["Event", "Match", "OrderTimeline", "find", "timeline"]
