"""Keeping an audit's report; only the last ones, for each tells of everything."""

from audit.findings import Report
from audit.models import AuditRun

KEPT = 500


def record(report: Report) -> AuditRun:
    """Store the report as one row, and drop the oldest beyond KEPT."""
    run = AuditRun.objects.create(
        at=report.at,
        seconds=report.seconds,
        broken=report.broken,
        in_flight=report.in_flight,
        unchecked=report.unchecked,
        report=report.as_dict(),
    )
    AuditRun.objects.filter(pk__lte=run.pk - KEPT).delete()
    return run
