"""Which account at which venue the desk's books are of."""

from django.db import models


class VenueAccount(models.Model):
    """The newest row counts; a trigger keeps what is written."""

    venue = models.CharField(max_length=32)  # ccxt's name
    account_id = models.CharField(max_length=64, blank=True)  # as the venue tells it; blank: it tells none
    adopted_at = models.DateTimeField()
    adopted_by = models.CharField(max_length=64)
    why = models.TextField()

    def __str__(self) -> str:
        return f"{self.account_id or 'an account without a name'} at {self.venue}"
