"""When what is broken, and for how long: decided from the seed alone, before anything runs.

Lanes run side by side, so that each kind of damage comes early on: parts of the stack, the venue's faults, and clocks.
Invariant: the same seed, duration and names give the same schedule; one target is never broken twice at a time.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

# From one injection's beginning to the next one's, by kind; of the other kinds in one lane.
GAP_SECONDS = {"fault": (1.5, 4.5), "jump": (6.0, 16.0)}
OTHERS, OTHERS_GAP_SECONDS = "others", (1.0, 4.5)
# By kind, and of the others. While one of the venue's faults lasts hardly anything is traded: they are short.
LASTS_SECONDS = {"fault": (1.0, 8.0)}
OTHERS_LAST_SECONDS = (1.0, 15.0)
# Something is being traded before the first injection, and the last ones end within the time.
QUIET_AT_START_SECONDS = 3.0


class UnknownWord(ValueError):
    """A word that chooses injections names none."""


@dataclass(frozen=True, slots=True)
class Step:
    """The injection `name` (`kind:target`) from `at` on, in seconds after the load began; `seed` is its own."""

    at: float
    name: str
    seconds: float
    seed: int

    @property
    def target(self) -> str:
        """What is broken."""
        return target_of(self.name)

    @property
    def ends_at(self) -> float:
        """Seconds after the load began."""
        return self.at + self.seconds


def target_of(name: str) -> str:
    """The target of an injection `kind:target`."""
    return name.split(":", 1)[1]


def chosen(names: Collection[str], *, only: Sequence[str], without: Sequence[str]) -> list[str]:
    """The names that `only` lets through (all, if it is empty) and `without` does not take away, sorted.

    Raises: UnknownWord for a word of `only` that fits none of the names.
    """
    for word in only:
        if not any(_fits(word, name) for name in names):
            raise UnknownWord(f"{word} is none of the injections: {', '.join(sorted(names))}")
    return sorted(
        name
        for name in names
        if (not only or any(_fits(word, name) for word in only))
        and not any(_fits(word, name) for word in without)
    )


def _fits(word: str, name: str) -> bool:
    """A whole name, a kind, a target, or the first part of one: `feed` is also `feed-standby`."""
    kind, target = name.split(":", 1)
    return word in (name, kind, target) or target.startswith(f"{word}-")


def plan(*, seed: int, seconds: float, names: Sequence[str]) -> list[Step]:
    """Steps in the order of their beginnings, all ended after `seconds`.

    No name of a lane comes again before all of it have come.
    """
    lanes: dict[str, list[str]] = {}
    for name in names:
        kind = name.split(":", 1)[0]
        lanes.setdefault(kind if kind in GAP_SECONDS else OTHERS, []).append(name)
    steps = [
        step
        for lane, of_lane in lanes.items()
        for step in _lane(lane, random.Random(f"{seed}:{lane}"), seconds, of_lane)
    ]
    return sorted(steps, key=lambda step: (step.at, step.name))


def _lane(lane: str, chance: random.Random, seconds: float, names: Sequence[str]) -> list[Step]:
    gap_seconds = GAP_SECONDS.get(lane, OTHERS_GAP_SECONDS)
    lasts_seconds = LASTS_SECONDS.get(lane, OTHERS_LAST_SECONDS)
    steps: list[Step] = []
    free_at: dict[str, float] = {}
    waiting: list[str] = []
    at = QUIET_AT_START_SECONDS
    while at + lasts_seconds[0] <= seconds:
        if not waiting:
            waiting = chance.sample(sorted(names), len(names))
        name = next((each for each in waiting if free_at.get(target_of(each), 0.0) <= at), None)
        if name is not None:
            waiting.remove(name)
            lasts = min(chance.uniform(*lasts_seconds), seconds - at)
            step = Step(at, name, lasts, chance.getrandbits(31))
            steps.append(step)
            free_at[step.target] = step.ends_at
        at += chance.uniform(*gap_seconds)
    return steps
