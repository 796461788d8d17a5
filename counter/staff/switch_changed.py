"""Whether an open page of a switch still says what holds. The page asks; an old one is told what happened since."""

import re

from django.db.models import QuerySet

from counter.models import TradingSwitch, TradingSwitchChange
from counter.staff.switch_page import SwitchPage
from counter.trading.taking_back import same_coins

MARK = re.compile(r"(\d{1,18})-[01]", re.ASCII)


def newest_throw(switch: TradingSwitch) -> int:
    """The id of the newest throw that concerns its coins; 0 if there is none.

    Read it before the page is made: a throw in between is then taken for a new one, and the page for old.
    """
    return _throws(switch.underlying).order_by("-pk").values_list("pk", flat=True).first() or 0


def mark_of(newest: int, page: SwitchPage) -> str:
    """What a page was made of: the newest throw that it knows, and whether it offers to take the stop back."""
    return f"{newest}-{int(page.taking_back is not None)}"


def happened_since(switch: TradingSwitch, page: SwitchPage, mark: str, *, by: str) -> str:
    """Why the page of a mark is old, for the person `by`: the newest throw since, or why they take nothing back now."""
    found = MARK.fullmatch(mark)
    known = int(found[1]) if found else 0
    if newest := _throws(switch.underlying).filter(pk__gt=known).order_by("-pk").first():
        who = "you" if newest.by == by else newest.by
        return f"{who} {newest.deed} at {newest.at:%H:%M:%S} UTC"
    if page.why_not:
        return f"you cannot take the stop back alone any more ({page.why_not})"
    return "what you may do here has changed"


def _throws(underlying: str) -> QuerySet[TradingSwitchChange]:
    return TradingSwitchChange.objects.filter(same_coins(underlying))
