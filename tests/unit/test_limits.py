"""Limits from the environment: what contradicts itself does not start."""

from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import limits

COINS = ["BTC", "ETH"]


def by_coin():
    return limits.pairs_by_coin("WIDEN", "HALT", ("5", "10"), COINS)


def test_one_number_is_for_every_coin_and_named_ones_are_each_for_its_own(monkeypatch):
    assert by_coin() == dict.fromkeys(COINS, (Decimal(5), Decimal(10)))
    monkeypatch.setenv("HALT", "BTC=30, ETH=20.5")
    assert by_coin() == {"BTC": (Decimal(5), Decimal(30)), "ETH": (Decimal(5), Decimal("20.5"))}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HALT", "4"),  # below the first
        ("WIDEN", "-1"),
        ("WIDEN", "NaN"),
        ("HALT", "Infinity"),
        ("HALT", "ten"),
        ("HALT", "BTC=30"),
        ("HALT", "BTC=30,ETH=4"),
        ("HALT", "BTC=30,ETH="),
    ],
)
def test_limits_that_make_no_sense_are_refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured):
        by_coin()


@pytest.mark.parametrize("value", ["1", "0.004", "-0.1", "NaN", "x"])
def test_a_rate_is_a_fraction_and_no_less_than_its_least(monkeypatch, value):
    assert limits.rate("RATE", "0.005", least=Decimal("0.005")) == Decimal("0.005")
    monkeypatch.setenv("RATE", value)
    with pytest.raises(ImproperlyConfigured):
        limits.rate("RATE", "0.005", least=Decimal("0.005"))


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity", "x"])
def test_an_amount_is_not_negative(monkeypatch, value):
    assert limits.amount("AMOUNT", "0") == 0
    monkeypatch.setenv("AMOUNT", value)
    with pytest.raises(ImproperlyConfigured):
        limits.amount("AMOUNT", "0")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "NaN", "ten", "1000001"])
def test_a_count_is_whole_and_lets_something_through(monkeypatch, value):
    assert limits.count("COUNT", "20") == 20
    monkeypatch.setenv("COUNT", value)
    with pytest.raises(ImproperlyConfigured):
        limits.count("COUNT", "20")


def test_networks_are_read_or_refused(monkeypatch):
    assert limits.networks("NETWORKS") == []
    monkeypatch.setenv("NETWORKS", "192.0.2.1, 2001:db8::/32,")
    assert limits.networks("NETWORKS") == ["192.0.2.1/32", "2001:db8::/32"]
    monkeypatch.setenv("NETWORKS", "192.0.2.1/24")
    with pytest.raises(ImproperlyConfigured):
        limits.networks("NETWORKS")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "NaN", "Infinity"])
def test_a_number_of_things_is_whole_and_not_below_what_makes_sense(monkeypatch, text):
    assert limits.whole("LIMIT", "7", least=1) == 7
    monkeypatch.setenv("LIMIT", text)
    with pytest.raises(ImproperlyConfigured):
        limits.whole("LIMIT", "7", least=1)
