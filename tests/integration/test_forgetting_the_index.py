"""The record of the index is forgotten after a while, but not what an expiry may still be settled by."""

from datetime import timedelta

import pytest
from django.conf import settings

from counter.expiring import expiry
from counter.expiring.settlement_index import forget_record
from counter.models import IndexPrice, SettlementIndex
from tests.support.expiring import AFTER, EXPIRES_AT, expiring_option, record_index

pytestmark = pytest.mark.django_db

KEPT = timedelta(days=settings.INDEX_KEPT_DAYS)


def recorded() -> int:
    return IndexPrice.objects.count()


def test_what_is_older_than_its_time_is_forgotten_and_nothing_else():
    expiring_option()
    record_index()
    expiry.expire_due(now=AFTER)
    oldest = IndexPrice.objects.earliest("at")
    before = recorded()
    assert forget_record(now=oldest.at + KEPT) == 0
    assert forget_record(now=oldest.at + KEPT + timedelta(microseconds=1)) == 1
    assert recorded() == before - 1
    assert forget_record(now=EXPIRES_AT + KEPT) == before - 1
    assert SettlementIndex.objects.count() == 1


def test_an_expiry_that_has_no_index_keeps_what_it_may_be_settled_by():
    expiring_option()
    record_index()
    before = recorded()
    expiry._take(AFTER)
    assert forget_record(now=EXPIRES_AT + 2 * KEPT) == 0
    assert recorded() == before
