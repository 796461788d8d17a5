"""When a venue was sent nothing new, and why."""

from django.db import models


class VenueHalt(models.Model):
    """One halt of a venue, from its beginning until the venue answered again or a person lifted it.

    A trigger keeps what is written: a halt is lifted once, and only the next question's time changes before.
    """

    venue = models.CharField(max_length=32)
    reason = models.TextField()
    began_at = models.DateTimeField()
    asked = models.IntegerField(default=0)  # how often, without an answer
    ask_at = models.DateTimeField()  # when the venue is asked next whether it answers
    lifted_at = models.DateTimeField(null=True)  # null: it stands
    lifted_by = models.CharField(max_length=64, blank=True)

    class Meta:
        permissions = [("lift_venuehalt", "Can lift the halt of a venue")]
        constraints = [
            models.UniqueConstraint(
                fields=["venue"],
                condition=models.Q(lifted_at__isnull=True),
                name="venue_halt_one_standing",
            )
        ]
        indexes = [models.Index(fields=["venue", "began_at"], name="venue_halt_began")]

    def __str__(self) -> str:
        return f"{self.venue}: {self.reason}"
