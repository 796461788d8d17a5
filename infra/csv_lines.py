"""CSV that is written as its rows are read, and that no spreadsheet takes for formulas."""

import csv
from collections.abc import Iterable, Iterator, Sequence

ROWS_AT_ONCE = 500
# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Line:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines, some hundred at once: a heading, then the rows in their order. Nothing of them is kept."""
    writer = csv.writer(_Line())
    lines = [writer.writerow(heading)]
    for row in rows:
        lines.append(writer.writerow(row))
        if len(lines) >= ROWS_AT_ONCE:
            yield "".join(lines)
            lines = []
    yield "".join(lines)


def text_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
