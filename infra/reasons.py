"""What people give as their reason: kept for others to read on pages, in alerts and on terminals."""

LONGEST = 500  # characters


def plain_reason(text: str) -> str:
    """A person's reason as one line: what no screen shows as it is (controls, changes of direction) is a space.

    What is longer than LONGEST is cut, and ends with an ellipsis: nobody who stops something is sent back for that.
    Empty if nothing readable is left.
    """
    shown = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(shown.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
