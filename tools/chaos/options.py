"""What the environment says about a run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_MINUTES = 24 * 60
MOST_ORDERS_PER_S = 1000


class OptionInvalid(ValueError):
    """A CHAOS_ variable makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`only` and `without` hold words that choose injections: a kind, a target, or both as `kind:target`."""

    seed: int
    minutes: float
    orders_per_s: int
    only: tuple[str, ...]
    without: tuple[str, ...]


def read_options(environment: Mapping[str, str]) -> Options:
    """CHAOS_SEED (1), CHAOS_MINUTES (2), CHAOS_ORDERS_PER_S (100), CHAOS_ONLY, CHAOS_WITHOUT. Raises: OptionInvalid."""
    return Options(
        seed=int(_number(environment, "CHAOS_SEED", "1", least=0, most=2**63, whole=True)),
        minutes=_number(environment, "CHAOS_MINUTES", "2", least=0.1, most=LONGEST_MINUTES),
        orders_per_s=int(
            _number(environment, "CHAOS_ORDERS_PER_S", "100", least=1, most=MOST_ORDERS_PER_S, whole=True)
        ),
        only=_words(environment, "CHAOS_ONLY"),
        without=_words(environment, "CHAOS_WITHOUT"),
    )


def _number(
    environment: Mapping[str, str], name: str, default: str, *, least: float, most: float, whole: bool = False
) -> float:
    text = environment.get(name) or default
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        kind = "whole number" if whole else "number"
        raise OptionInvalid(f"{name} has to be a {kind} from {least:g} to {most:g}, not {text!r}")
    return number


def _words(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in environment.get(name, "").split(",") if word.strip())
