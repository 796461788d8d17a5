"""What audits have found, kept for those who were not there."""

from django.db import models


class AuditRun(models.Model):
    """One audit with the venue: its totals, and its report as `manage.py audit --json` prints it."""

    at = models.DateTimeField()
    seconds = models.FloatField()
    broken = models.BigIntegerField()
    in_flight = models.BigIntegerField()
    unchecked = models.JSONField(default=list)  # numbers of the invariants that could not be checked whole
    report = models.JSONField()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}: {self.broken} broken"
