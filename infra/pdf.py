"""A page of the admin as PDF: a heading, what it is of, and tables; each page with its number, and how many follow."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

MARGIN = 15 * mm
_STYLES = getSampleStyleSheet()
_CELL = _STYLES["BodyText"].clone("cell", fontSize=7.5, leading=9, spaceBefore=0)
_NUMBER = _CELL.clone("number", alignment=2)
# What the built-in fonts lack of what our pages write.
_WRITTEN = str.maketrans({"−": "-", "≤": "<=", "≥": ">="})
_LOOK = TableStyle(
    [
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, colors.black),
        ("LINEBELOW", (0, 1), (-1, -1), 0.2, colors.lightgrey),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("TOPPADDING", (0, 0), (-1, -1), 1),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
)


@dataclass(frozen=True, slots=True)
class Section:
    """A table with its heading; the last `numbers` columns stand to the right. `widths` are shares of the line."""

    title: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: int = 0
    widths: Sequence[int] = ()
    empty: str = "nothing"


def pdf_of(title: str, facts: Sequence[str], sections: Sequence[Section]) -> bytes:
    """The file. Its text comes as it is: nothing in it is markup."""
    page = landscape(A4)
    target = io.BytesIO()
    document = SimpleDocTemplate(
        target,
        pagesize=page,
        title=title,
        author="Crossbook",
        invariant=1,
        **dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), MARGIN),
    )
    story: list[Any] = [_paragraph(title, "Title"), *(_paragraph(fact, "BodyText") for fact in facts)]
    for each in sections:
        story += [Spacer(1, 4 * mm), _paragraph(each.title, "Heading2")]
        story.append(_table(each, page[0] - 2 * MARGIN) if each.rows else _paragraph(each.empty, "BodyText"))
    document.build(story, canvasmaker=_numbered(title))
    return target.getvalue()


def _table(section: Section, width: float) -> LongTable:
    columns = len(section.heading)
    widths = section.widths or [1] * columns
    styles = [_CELL] * (columns - section.numbers) + [_NUMBER] * section.numbers
    cells = [
        [Paragraph(_text(cell), style) for cell, style in zip(row, styles, strict=True)]
        for row in (section.heading, *section.rows)
    ]
    shares = [width * each / sum(widths) for each in widths]
    return LongTable(cells, colWidths=shares, repeatRows=1, style=_LOOK)


def _paragraph(text: str, style: str) -> Paragraph:
    return Paragraph(_text(text), _STYLES[style])


def _text(text: str) -> str:
    return escape(text.translate(_WRITTEN))


def _numbered(title: str) -> type[Canvas]:
    """A canvas that writes the foot of each page when it is known how many there are."""

    class Numbered(Canvas):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._pages, start=1):
                self.__dict__.update(page)
                self.setFont("Helvetica", 7)
                self.drawString(MARGIN, MARGIN / 2, title)
                self.drawRightString(
                    self._pagesize[0] - MARGIN, MARGIN / 2, f"page {number} of {len(self._pages)}"
                )
                super().showPage()
            super().save()

    return Numbered
