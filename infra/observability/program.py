"""The name that a program goes by, put into its environment by what starts it."""

import os

PROGRAM_MARK = "CROSSBOOK_PROGRAM"


def program_name(otherwise: str) -> str:
    """This program's name, or `otherwise` if nothing named it."""
    return os.environ.get(PROGRAM_MARK, otherwise)
