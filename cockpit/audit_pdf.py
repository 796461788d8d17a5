"""A kept audit as PDF: each invariant, and all that was listed of what is broken, unchecked or in flight."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from audit.models import AuditRun
from ledger.amounts import readable

SEE = "audit.view_auditrun"


@require_safe
def report(request: HttpRequest, pk: int) -> HttpResponse:
    """The file, for who may see the audit's runs."""
    if not request.user.has_perm(SEE):
        raise PermissionDenied
    run = get_object_or_404(AuditRun, pk=pk)
    answer = HttpResponse(pdf(run), content_type="application/pdf")
    answer["Content-Disposition"] = f'attachment; filename="audit-{run.at:%Y-%m-%d-%H%M%S}.pdf"'
    return answer


def pdf(run: AuditRun) -> bytes:
    """What the audit said when it ran."""
    from infra.pdf import Section, pdf_of  # loads reportlab: 0.1 s, for those who make one

    said = run.report
    facts = [
        f"Run at {run.at:%Y-%m-%d %H:%M:%S} UTC, {run.seconds:.1f} s.",
        f"{run.broken:,} broken, {run.in_flight:,} in flight, {len(run.unchecked):,} invariants not checked whole.",
    ]
    invariants = [
        (
            *(str(each["number"]), each["name"], each["state"].replace("_", " ")),
            *(f"{each[count]:,}" for count in ("checked", "broken_total", "in_flight_total")),
        )
        for each in said["invariants"]
    ]
    return pdf_of(
        f"Audit of {run.at:%Y-%m-%d %H:%M:%S} UTC",
        facts,
        [
            Section(
                "Invariants",
                ("", "invariant", "state", "checked", "broken", "in flight"),
                invariants,
                numbers=3,
                widths=(1, 12, 3, 3, 3, 3),
            ),
            Section(
                "Findings",
                ("", "kind", "where", "what"),
                [line for each in said["invariants"] for line in _findings(each)],
                widths=(1, 2, 6, 16),
                empty="none",
            ),
        ],
    )


def _findings(invariant: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    number = str(invariant["number"])
    if invariant["unchecked"]:
        yield number, "unchecked", "", invariant["unchecked"]
    for kind in ("broken", "in_flight"):
        listed = invariant[kind]
        for each in listed:
            yield (
                number,
                kind.replace("_", " "),
                each["where"],
                f"{each['what']} ({readable(each['detail'])})",
            )
        if (left := invariant[f"{kind}_total"] - len(listed)) > 0:
            yield number, kind.replace("_", " "), "", f"and {left:,} more"
