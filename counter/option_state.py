"""The states of an option, for who judges orders without the models; `counter.models.Option` declares how it moves."""

from enum import StrEnum


class OptionState(StrEnum):
    """Listed and traded, halted by people, past its end, and paid out."""

    LISTED = "LISTED"
    HALTED = "HALTED"
    EXPIRED = "EXPIRED"
    SETTLED = "SETTLED"
