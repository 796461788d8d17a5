"""When a venue, or one coin's market there, was sent nothing new, and why."""

from django.db import models


class VenueHalt(models.Model):
    """One halt of a venue or a coin's market, from its beginning until orders are taken again or a person lifted it.

    A trigger keeps what is written: a halt is lifted once, and only the next question's time changes before.
    """

    venue = models.CharField(max_length=32)
    underlying = models.CharField(
        max_length=8, blank=True, default="", db_default=""
    )  # blank: the whole venue
    reason = models.TextField()
    began_at = models.DateTimeField()
    since = models.DateTimeField(
        null=True
    )  # when the first of halts began that were lifted only to try an order
    asked = models.IntegerField(default=0)  # how often, without an answer
    ask_at = models.DateTimeField()  # when the venue is asked next whether it answers
    lifted_at = models.DateTimeField(null=True)  # null: it stands
    lifted_by = models.CharField(max_length=64, blank=True)

    class Meta:
        permissions = [("lift_venuehalt", "Can lift the halt of a venue")]
        constraints = [
            models.UniqueConstraint(
                fields=["venue", "underlying"],
                condition=models.Q(lifted_at__isnull=True),
                name="venue_halt_one_each",
            )
        ]
        indexes = [models.Index(fields=["venue", "began_at"], name="venue_halt_began")]

    def __str__(self) -> str:
        return f"{self.venue} {self.underlying}".strip() + f": {self.reason}"
