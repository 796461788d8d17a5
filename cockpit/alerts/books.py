"""What puts the books in doubt: the audit, breaks, conversions and transfers that nobody ends, withdrawals."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.urls import reverse

from cockpit.alerts.alert import Alert, age_seconds, list_of, stage
from cockpit.snapshot import SystemSnapshot
from infra.coordination.ages import age as age_of

AUDIT_OLD_AFTER = timedelta(hours=3)  # it runs every hour, or less often where it takes minutes
AUDIT_OLD_TIMES = 40
RECONCILED_OLD_AFTER = timedelta(minutes=30)  # it runs every three
AUDIT_AGAIN = "See whether the workers work (below) and the schedule is on; run manage.py audit by hand."
# How old an unknown outcome may grow before somebody should look, beside the limits that the audit knows.
UNKNOWN_AFTER_SECONDS = 60.0
# A worker takes it up within seconds; one that died is followed within a minute, and adding up takes some more.
DAY_WAITS_AFTER_SECONDS = 600.0


def audit(figures: SystemSnapshot) -> Iterator[Alert]:
    """What the last audit found, could not check, or that it is long ago."""
    run = figures.audit
    if run is None:
        if figures.result and age_of(figures.result.since, now=figures.at) > AUDIT_OLD_AFTER:
            yield Alert(
                "audit_old",
                "No audit has ever run",
                1,
                age_seconds(figures, figures.result.since),
                AUDIT_AGAIN,
                list_of("django_celery_beat_periodictask"),
            )
        return
    url = reverse("admin:audit_auditrun_change", args=[run.pk])
    age = age_seconds(figures, run.at)
    if run.broken:
        yield Alert(
            "audit_broken",
            "The audit found something broken",
            run.broken,
            age,
            "Open the report: each finding names its rule and its row. Run manage.py audit again to see what is left.",
            url,
        )
    if run.unchecked:
        numbers = ", ".join(map(str, run.unchecked))
        yield Alert(
            "audit_unchecked",
            f"The audit could not check invariant {numbers}",
            len(run.unchecked),
            age,
            "The report says why; mostly the venue did not answer. Run manage.py audit when it does.",
            url,
        )
    if age_of(run.at, now=figures.at) > max(
        AUDIT_OLD_AFTER, AUDIT_OLD_TIMES * timedelta(seconds=run.seconds)
    ):
        yield Alert(
            "audit_old",
            "No audit has run for hours",
            1,
            age,
            AUDIT_AGAIN,
            list_of("django_celery_beat_periodictask"),
        )


def breaks(figures: SystemSnapshot) -> Iterator[Alert]:
    """Differences between venue, book and clearing that nobody has closed."""
    if figures.desk and figures.desk.breaks:
        yield Alert(
            "break_open",
            "Venue, book and clearing do not agree",
            figures.desk.breaks,
            age_seconds(figures, figures.desk.oldest_break_at),
            "Take the break, follow its trace, and book what is missing; the next reconciliation closes it.",
            list_of("settlement_reconciliationbreak", "?state__exact=OPEN"),
        )


def reconciled(figures: SystemSnapshot) -> Iterator[Alert]:
    """No whole comparison for a while."""
    if figures.desk is None:
        return
    since = figures.desk.reconciled_at or (figures.result and figures.result.since)
    if since and age_of(since, now=figures.at) > RECONCILED_OLD_AFTER:
        yield Alert(
            "reconciled_old",
            "Venue, book and clearing have not been compared whole for a while",
            1,
            age_seconds(figures, since),
            "The last run says what it could not compare. Without a run: workers, and whether its schedule is on.",
            list_of("settlement_reconciliationrun"),
        )


def manual(figures: SystemSnapshot) -> Iterator[Alert]:
    """Conversions and transfers that wait for a decision, or whose outcome stays unknown."""
    for kind, name in (("conversion", "conversions"), ("funds_transfer", "transfers")):
        if found := stage(figures, kind, "MANUAL"):
            yield Alert(
                f"{kind}_manual",
                f"{name.capitalize()} wait for a decision",
                found.count,
                found.oldest_seconds,
                "Open the oldest, read its reason and the venue's last answer, and ask the venue or decide.",
                found.url,
                figures.stakes.get((kind, "MANUAL")),
            )
        found = stage(figures, kind, "UNKNOWN")
        if found and (found.oldest_seconds or 0) > UNKNOWN_AFTER_SECONDS:
            yield Alert(
                f"{kind}_unknown",
                f"Nobody knows whether {name} were executed",
                found.count,
                found.oldest_seconds,
                "The venue is asked again and again. See whether it answers, and what speaks against a miss.",
                found.url,
                figures.stakes.get((kind, "UNKNOWN")),
            )


def filled(figures: SystemSnapshot) -> Iterator[Alert]:
    """Conversions that were executed and cannot be booked."""
    limit = settings.AUDIT_AGE_LIMITS_SECONDS["conversion"]["FILLED"]
    found = stage(figures, "conversion", "FILLED")
    if found and (found.oldest_seconds or 0) > limit:
        yield Alert(
            "conversion_filled",
            "Executed conversions cannot be booked",
            found.count,
            found.oldest_seconds,
            "It is tried every few seconds. Open the oldest, read its reason, mend that; Try again shows if it is.",
            found.url,
            figures.stakes.get(("conversion", "FILLED")),
        )


def requests(figures: SystemSnapshot) -> Iterator[Alert]:
    """What one person asked for and no second one has decided."""
    if figures.desk and figures.desk.requests:
        yield Alert(
            "intervention_waiting",
            "Interventions wait for a second person",
            figures.desk.requests,
            age_seconds(figures, figures.desk.oldest_request_at),
            "An approver other than the person who asked for it reads the evidence and approves or rejects.",
            list_of("settlement_intervention", "?state__exact=REQUESTED"),
        )


def payments(figures: SystemSnapshot) -> Iterator[Alert]:
    """Payments between counter and the desk that one person stated."""
    if figures.desk and figures.desk.payments:
        yield Alert(
            "clearing_payment_waiting",
            "Payments of clearing wait for a second person",
            figures.desk.payments,
            age_seconds(figures, figures.desk.oldest_payment_at),
            "An approver other than the person who stated it compares the reference with the bank, and approves or "
            "rejects.",
            list_of("settlement_clearingpayment", "?state__exact=REQUESTED"),
        )


def conflicts(figures: SystemSnapshot) -> Iterator[Alert]:
    """Orders that came again with other content."""
    if figures.desk and figures.desk.conflicts:
        yield Alert(
            "conflict_open",
            "Orders came again with other content",
            figures.desk.conflicts,
            age_seconds(figures, figures.desk.oldest_conflict_at),
            "Compare what was received with the order that stands, and find out who sent it.",
            list_of("acceptance_conflict", "?resolved_at__isempty=1"),
        )


def withdrawals(figures: SystemSnapshot) -> Iterator[Alert]:
    """Withdrawals that the wallet service does not end, or contradicts."""
    found = stage(figures, "withdrawal", "RESERVED")
    if found and (found.oldest_seconds or 0) > settings.WITHDRAWAL_OVERDUE_AFTER_SECONDS:
        yield Alert(
            "withdrawal_overdue",
            "The wallet service does not end withdrawals",
            found.count,
            found.oldest_seconds,
            "Ask the wallet service what became of the oldest: it has to confirm what it paid and release what not. If "
            "it never does, two people end it on its page.",
            found.url,
            figures.stakes.get(("withdrawal", "RESERVED")),
        )
    if figures.late_words:
        yield Alert(
            "withdrawal_contradicted",
            "The wallet service contradicts how people ended withdrawals",
            figures.late_words,
            age_seconds(figures, figures.oldest_late_word_at),
            "Find out whether it was paid: two people take it back, give it back or explain it, on its page.",
            list_of("counter_lateword", "?state__exact=OPEN"),
        )


def days(figures: SystemSnapshot) -> Iterator[Alert]:
    """Statements and closes of days that no worker takes up, or ends."""
    if figures.days and (age_seconds(figures, figures.oldest_day_at) or 0) > DAY_WAITS_AFTER_SECONDS:
        yield Alert(
            "day_waiting",
            "No worker ends the statement or the close of a day",
            figures.days,
            age_seconds(figures, figures.oldest_day_at),
            "See whether the workers work (below) and the schedule of cockpit.work_on_days is on; the page says which "
            "step it has come to, and the worker's log why not further. What is asked for stays until it is done.",
            reverse("days"),
        )
