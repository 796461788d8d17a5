"""One alert, and what the finders share."""

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from cockpit.pipeline import Stage
from cockpit.snapshot import SystemSnapshot
from cockpit.stakes import Stake
from infra.coordination.ages import age as age_of


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that does not end by itself, or not soon; `code` is stable and names its paragraph in the guide."""

    code: str
    what: str
    count: int
    oldest_seconds: float | None
    do: str
    url: str
    stake: Stake | None = None


def list_of(model: str, query: str = "") -> str:
    """The address of a list in the admin."""
    return reverse(f"admin:{model}_changelist") + query


def age_seconds(figures: SystemSnapshot, since: datetime | None) -> float | None:
    """Seconds since then, and None of no time."""
    return None if since is None else age_of(since, now=figures.at).total_seconds()


def stage(figures: SystemSnapshot, kind: str, state: str) -> Stage | None:
    """The stage, if anything is in it."""
    found = (stage for stage in figures.stages if (stage.kind, stage.state) == (kind, state) and stage.count)
    return next(found, None)
