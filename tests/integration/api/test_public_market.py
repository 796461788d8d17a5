"""The market without credentials: read by anybody as often as an address may, and by nobody with wrong ones."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from counter.api import kept_answers, market
from counter.api.throttling import BUCKET_DIGITS, bucket_of
from counter.models import IndexPrice, Quote
from tests.support.api import error_of
from tests.support.factories import make_option, make_quote

MARKET = ["instruments", "quotes", "greeks", "index?underlying=BTC"]


@pytest.fixture
def stranger(new_caller):
    """A client without credentials; `new_caller` ends what admits requests."""
    return Client()


def results(client, address):
    answer = client.get(f"/api/v1/{address}")
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


@pytest.mark.parametrize("address", MARKET)
def test_strangers_are_told_what_customers_are(stranger, caller, option, address):
    IndexPrice.objects.create(underlying="BTC", price=Decimal(90_000), at=timezone.now())
    told = stranger.get(f"/api/v1/{address}")
    assert told.status_code == 200
    assert set(told.json()) == set(caller.http.get(f"/api/v1/{address}").json())
    assert stranger.head(f"/api/v1/{address}").status_code == 200
    assert told["RateLimit-Remaining"] == "49"


@pytest.mark.parametrize("address", MARKET)
@pytest.mark.parametrize(
    "headers", [{"Authorization": "Token x"}, {"X-API-Key": "cbk_x", "X-API-Timestamp": "1"}], ids=repr
)
def test_wrong_credentials_are_refused_here_too(stranger, address, headers):
    answer = stranger.get(f"/api/v1/{address}", headers=headers)
    assert error_of(answer, 401)["code"] in (
        "authentication_failed",
        "signature_invalid",
        "signature_expired",
    )


@pytest.mark.parametrize("address", MARKET)
@pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
def test_nothing_but_reading_is_open(stranger, address, method):
    answer = getattr(stranger, method)(f"/api/v1/{address}")
    assert error_of(answer, 401)["code"] == "not_authenticated"


def test_an_address_may_ask_so_often_and_a_customer_of_it_all_the_same(stranger, caller, option, settings):
    settings.PUBLIC_REQUESTS_PER_SECOND, settings.PUBLIC_REQUESTS_AT_ONCE = 1, 2
    for _ in range(2):
        assert results(stranger, "quotes")
    refused = stranger.get("/api/v1/quotes")
    assert error_of(refused, 429)["code"] == "throttled"
    assert refused["Retry-After"] == "1"
    assert (refused["RateLimit-Limit"], refused["RateLimit-Remaining"]) == ("2", "0")
    assert caller.get("quotes").status_code == 200
    assert results(Client(REMOTE_ADDR="192.0.2.7"), "quotes")


@pytest.mark.parametrize("address", MARKET)
def test_an_answer_is_everybodys_for_a_moment(stranger, caller, option, address, monkeypatch):
    monkeypatch.setattr(kept_answers, "GOOD_FOR", timedelta(hours=1))
    monkeypatch.setattr(market, "_KEPT", kept_answers.KeptAnswers())
    IndexPrice.objects.create(underlying="BTC", price=Decimal(90_000), at=timezone.now())
    make_option(kind="P")
    told = stranger.get(f"/api/v1/{address}").content
    make_option(strike=95_000)
    IndexPrice.objects.create(underlying="BTC", price=Decimal(80_000), at=timezone.now())
    assert caller.http.get(f"/api/v1/{address}").content == told
    filtered = "index?underlying=BTC&span=hour" if "index" in address else f"{address}?symbol={option.symbol}"
    assert stranger.get(f"/api/v1/{filtered}").content != told
    monkeypatch.setattr(kept_answers, "GOOD_FOR", timedelta(0))
    assert stranger.get(f"/api/v1/{address}").content != told


def test_a_bucket_of_addresses_cannot_be_told_without_the_secret(settings):
    holders = [f"2001:db8:{number:x}::/48" for number in range(50)]
    buckets = [bucket_of(holder) for holder in holders]
    assert buckets == [bucket_of(holder) for holder in holders]
    assert {len(bucket) for bucket in buckets} == {BUCKET_DIGITS}
    settings.SECRET_KEY = "another"
    assert buckets != [bucket_of(holder) for holder in holders]


def test_greeks_are_of_the_option_and_of_a_fresh_price(stranger):
    call, put = make_option(kind="C"), make_option(kind="P")
    told = {row["symbol"]: row for row in results(stranger, "greeks")}
    assert set(told) == {call.symbol, put.symbol}
    deltas = [Decimal(told[option.symbol]["delta"]) for option in (call, put)]
    assert 0 < deltas[0] < 1
    assert -1 < deltas[1] < 0
    assert abs(deltas[0] - deltas[1] - 1) < Decimal("0.01")
    for row in told.values():
        assert Decimal(row["gamma"]) > 0
        assert Decimal(row["vega"]) > 0 > Decimal(row["theta"])
        assert (len(row["delta"].split(".")[1]), len(row["gamma"].split(".")[1])) == (6, 10)
    assert [row["symbol"] for row in results(stranger, f"greeks?symbol={put.symbol}")] == [put.symbol]
    Quote.objects.filter(option=put).update(quoted_at=timezone.now() - timedelta(hours=1))
    assert [row["symbol"] for row in results(stranger, "greeks")] == [call.symbol]
    make_quote(put, now=timezone.now())
    assert len(results(stranger, "greeks")) == 2


def test_the_index_is_told_with_its_past_and_never_where_it_was_not_recorded(stranger):
    now = timezone.now()
    empty = stranger.get("/api/v1/index?underlying=BTC").json()
    assert empty == {"underlying": "BTC", "price": None, "change_24h": None, "points": []}
    for at, price in (
        (now - timedelta(days=1), 80_000),
        (now - timedelta(minutes=30), 89_000),
        (now, 90_000),
    ):
        IndexPrice.objects.create(underlying="BTC", price=Decimal(price), at=at)
    told = stranger.get("/api/v1/index?underlying=BTC&span=hour").json()
    assert (told["price"], told["change_24h"]) == ("90000.00000000", "0.1250")
    assert [point["price"] for point in told["points"]] == ["89000.00000000", "90000.00000000"]
    assert len(stranger.get("/api/v1/index?underlying=BTC").json()["points"]) == 3
    assert error_of(stranger.get("/api/v1/index?underlying=DOGE"), 404)["code"] == "not_found"
    for query in ("", "?span=day", "?underlying=BTC&span=1d", "?underlying=BTC&x=1"):
        assert error_of(stranger.get(f"/api/v1/index{query}"), 400)["code"] == "invalid_request"
