"""What people decided about an order's conversions, the funds they waited for, and conflicts under its id."""

from collections.abc import Iterator, Sequence

from acceptance.models import Conflict
from cockpit.timeline.events import Event, facts, row_link
from settlement.models import Conversion, Intervention
from settlement.models.history import Subject


def events_of(conversions: Sequence[Conversion], conflicts: Sequence[Conflict]) -> Iterator[Event]:
    """Each intervention as it was asked for, and as it was decided, with who did it."""
    subjects = {
        Subject.CONVERSION: [conversion.pk for conversion in conversions],
        Subject.FUNDS_TRANSFER: [row.waits_for_id for row in conversions if row.waits_for_id],
        Subject.CONFLICT: [conflict.pk for conflict in conflicts],
    }
    for subject, ids in subjects.items():
        for made in Intervention.objects.filter(subject=subject, subject_id__in=ids) if ids else ():
            yield from _told(made)


def _told(made: Intervention) -> Iterator[Event]:
    link, what = row_link("settlement_intervention", made.pk), f"{made.get_kind_display().lower()}"
    yield Event(
        made.requested_at,
        "people",
        "intervention",
        f"{made.requested_by} asked for: {what}",
        facts(reason=made.reason, evidence=made.evidence, was=made.subject_state),
        link,
        (("terms", "\n".join(f"{name}: {value}" for name, value in made.terms.items())),)
        if made.terms
        else (),
    )
    if made.decided_at:
        yield Event(
            made.decided_at,
            "people",
            "intervention",
            f"{what}: {made.state.lower()} by {made.decided_by}",
            facts(decision=made.decision),
            link,
        )
