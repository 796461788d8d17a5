"""Real processes whose wall clock is an hour wrong, or leaps: what they store is of the database's time."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from django.db import connection
from django.utils import timezone
from rest_framework.authtoken.models import Token

from counter.models import IndexPrice, Quote, SyncOrder
from tests.support import ending
from tests.support.databases import environment
from tests.support.factories import make_customer, make_option
from tests.support.standing import until
from tests.support.web import SOON, Web
from tests.support.wrong_clock import WrongClock

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
LEAPS_HOURS = [(1, -1), (-1, 1)]
SKEW = timedelta(seconds=1)


@pytest.fixture
def wrong(tmp_path):
    made = WrongClock(tmp_path)
    yield made
    made.close()


def is_between(moment, since):
    return since - SKEW <= moment <= timezone.now() + SKEW


def placed(web, token, body):
    """The answer to an order, sent again as clients do while a busy machine has no time for it within its deadline."""
    for _ in range(10):
        make_option()  # its quote does not age meanwhile
        answer = requests.post(
            f"{web.url}/api/v1/orders",
            json=body,
            headers={"Authorization": f"Token {token}"},
            timeout=SOON,
        )
        if answer.status_code != 503:
            break
    return answer


@pytest.mark.parametrize("leaps", LEAPS_HOURS)
def test_a_web_process_with_a_wrong_clock_places_orders_with_the_databases_time(
    broker, tmp_path, wrong, leaps
):
    customer = make_customer()
    token = Token.objects.create(user=customer.user).key
    wrong.leap(hours=leaps[0])
    web = Web(tmp_path, **wrong.environment, WEB_PROCESSES="1")
    try:
        for number, leap in enumerate([*leaps, 0, leaps[0]]):
            wrong.leap(hours=leap)
            body = {
                "type": "open",
                "client_order_id": f"o-{number}",
                "symbol": make_option().symbol,
                "contracts": 1,
            }
            sent_at = timezone.now()
            answer = placed(web, token, body)
            assert answer.status_code == 201, answer.text
            assert is_between(SyncOrder.objects.latest("id").placed_at, sent_at)
            date = requests.get(f"{web.url}/readyz", timeout=SOON).json()["checks"]["clock"]["now"]
            assert is_between(timezone.datetime.fromisoformat(date), sent_at)
    finally:
        web.stop()
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(orders_due_at) FROM counter_account")
        assert is_between(cursor.fetchone()[0], sent_at)


@pytest.mark.parametrize("leaps", LEAPS_HOURS)
def test_a_feed_with_a_wrong_clock_quotes_at_the_databases_time(paper_venue, tmp_path, wrong, leaps):
    wrong.leap(hours=leaps[0])
    with (tmp_path / "feed.log").open("w") as log:
        feed = subprocess.Popen(
            [sys.executable, "manage.py", "feed"],
            cwd=ROOT,
            env={**os.environ, **environment(), "VENUE_URL": paper_venue.url, **wrong.environment},
            stdout=log,
            stderr=log,
        )
    try:
        for leap in leaps:
            until(lambda: Quote.objects.filter(bid__isnull=False).exists(), within=60)
            wrong.leap(hours=leap)
            leapt_at, seen = timezone.now(), IndexPrice.objects.count()
            until(lambda seen=seen: IndexPrice.objects.count() > seen + 4)
            newest = Quote.objects.order_by("-quoted_at")[0].quoted_at
            assert is_between(newest, leapt_at)
            sample = IndexPrice.objects.order_by("-at")[0].at
            assert is_between(sample, leapt_at)
    finally:
        ending.kill(feed)
