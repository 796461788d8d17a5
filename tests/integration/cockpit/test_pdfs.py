"""The close of a day and an audit as PDF: what their pages say, with numbered pages; nothing in a text is markup."""

import re
import zlib
from base64 import a85decode

from audit.models import AuditRun
from cockpit import days
from infra.pdf import Section, pdf_of
from tests.support.staff import staff as staff_of


def text_of(pdf):
    """What is written in a PDF, in its order, nothing between."""
    assert pdf.startswith(b"%PDF-")
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        raw = zlib.decompress(a85decode(stream.strip().removesuffix(b"~>")))
        found += re.findall(rb"\(((?:[^()\\]|\\.)*)\)\s*Tj", raw)
    plain = b"".join(found).decode("latin-1")
    return re.sub(r"\\([()\\])", r"\1", plain)


def test_the_close_says_what_its_page_says_and_who_closed_it(today, later):
    statement = days.state(day=today, by="ann <b>", now=later)
    viewer = staff_of("vic", role="viewer")
    assert "Not closed." in text_of(viewer.get(f"/admin/days/{statement.pk}/close.pdf").content)
    days.close(statement=statement, by="bob", now=later)
    answer = viewer.get(f"/admin/days/{statement.pk}/close.pdf")
    assert answer["Content-Type"] == "application/pdf"
    text = text_of(answer.content)
    assert f"Close of {today} (UTC)" in text
    assert f"Closed by bob at {later:%Y-%m-%d %H:%M:%S} UTC" in text
    assert "Stated by ann <b>" in text
    assert text.index(statement.digest) < text.index("As of this print, ") < text.index("have not been held")
    page = viewer.get(f"/admin/days/{statement.pk}/")
    for row in (*page.context["results"], *page.context["trial"], *page.context["accounts"]):
        assert row.cells[-1].replace("−", "-") in text
    pages = int(re.search(r"page 1 of (\d+)", text)[1])
    assert [f"page {number} of {pages}" in text for number in range(1, pages + 1)] == [True] * pages
    assert staff_of("eve").get(f"/admin/days/{statement.pk}/close.pdf").status_code == 403


def test_an_audit_says_its_invariants_and_all_that_it_listed(two_systems):
    finding = {"what": "legs differ", "where": "order 7 & <i>", "detail": "1.5 and 2.5"}
    report = {
        "number": 3,
        "name": "clearing agrees",
        "state": "broken",
        "checked": 1234,
        "broken": [finding],
        "broken_total": 12,
        "in_flight": [],
        "in_flight_total": 0,
        "unchecked": "the venue did not answer",
        "notes": [],
    }
    run = AuditRun.objects.create(
        at="2026-11-29T23:59:59Z",
        seconds=1.5,
        broken=12,
        in_flight=0,
        unchecked=[3],
        report={"invariants": [report]},
    )
    viewer = staff_of("vic", role="viewer")
    text = text_of(viewer.get(f"/admin/audit-runs/{run.pk}/report.pdf").content)
    for said in ("clearing agrees", "1,234", "order 7 & <i>", "legs differ", "and 11 more", "did not answer"):
        assert said in text
    assert "2026-11-29 23:59:59 UTC" in text
    assert f"/admin/audit-runs/{run.pk}/report.pdf" in viewer.get("/admin/audit/auditrun/").content.decode()
    assert staff_of("eve").get(f"/admin/audit-runs/{run.pk}/report.pdf").status_code == 403
    assert viewer.get(f"/admin/audit-runs/{run.pk + 1}/report.pdf").status_code == 404


def test_a_long_table_goes_over_many_pages_with_its_heading_on_each():
    rows = [(str(number), f"row {number}") for number in range(400)]
    text = text_of(pdf_of("Long", [], [Section("Rows", ("number", "name"), rows)]))
    pages = int(re.search(r"page 1 of (\d+)", text)[1])
    assert pages > 5
    assert text.count("number") == pages
    assert "row 399" in text
