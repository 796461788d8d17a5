"""Variables of the environment: a wrong one stops the start and says what is allowed; secrets lie in files as well."""

import os
from decimal import Decimal

import pytest

from config.environment import SettingInvalid, Subject
from tools.embedded import hand_in, secret_files

COINS = ["BTC", "ETH"]


@pytest.fixture
def subject(monkeypatch) -> Subject:
    """One that is on no page."""
    monkeypatch.setattr(Subject, "declared", [])
    return Subject("Of this test")


def by_coin(subject):
    return subject.pairs_by_coin("WIDEN", "HALT", ("5", "10"), COINS, "{}")


def test_one_number_is_for_every_coin_and_named_ones_are_each_for_its_own(subject, monkeypatch):
    assert by_coin(subject) == dict.fromkeys(COINS, (Decimal(5), Decimal(10)))
    monkeypatch.setenv("HALT", "BTC=30, ETH=20.5")
    assert by_coin(subject) == {"BTC": (Decimal(5), Decimal(30)), "ETH": (Decimal(5), Decimal("20.5"))}


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
        ("HALT", "BTC=30,000,ETH=20"),
        ("HALT", "BTC=30,ETH=20,20"),
    ],
)
def test_limits_that_make_no_sense_are_refused(subject, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingInvalid, match=name):
        by_coin(subject)


def test_limits_that_are_off_by_default_are_on_for_the_coins_that_have_one(subject, monkeypatch):
    def limits():
        return subject.pairs_by_coin_or_off("WIDEN", "HALT", COINS, "{}")

    assert limits() == {}
    monkeypatch.setenv("WIDEN", "5")
    with pytest.raises(SettingInvalid, match="off for the same coins"):
        limits()
    monkeypatch.setenv("HALT", "10")
    assert limits() == dict.fromkeys(COINS, (Decimal(5), Decimal(10)))
    monkeypatch.setenv("WIDEN", "BTC=6,ETH=off")
    monkeypatch.setenv("HALT", "BTC=7")
    assert limits() == {"BTC": (Decimal(6), Decimal(7))}
    for wrong in ("BTC=5", "on", "-1", "DOGE=8", "BTC=x", "BTC=7,000"):
        monkeypatch.setenv("HALT", wrong)
        with pytest.raises(SettingInvalid):
            limits()


@pytest.mark.parametrize("value", ["1", "0.004", "-0.1", "NaN", "x"])
def test_a_rate_is_a_fraction_and_no_less_than_its_least(subject, monkeypatch, value):
    assert subject.rate("RATE", "0.005", "", least=Decimal("0.005")) == Decimal("0.005")
    monkeypatch.setenv("RATE", value)
    with pytest.raises(SettingInvalid, match=f"RATE is {value}; allowed: from 0.005 to below 1"):
        subject.rate("RATE", "0.005", "", least=Decimal("0.005"))


@pytest.mark.parametrize("value", ["0.33", "0.999", "-0.1", "NaN"])
def test_a_rate_may_have_to_be_lower_than_1(subject, monkeypatch, value):
    monkeypatch.setenv("SHARE", "0.329")
    assert subject.rate("SHARE", "0.05", "", below=Decimal("0.33")) == Decimal("0.329")
    monkeypatch.setenv("SHARE", value)
    with pytest.raises(SettingInvalid, match=f"SHARE is {value}; allowed: from 0 to below 0.33"):
        subject.rate("SHARE", "0.05", "", below=Decimal("0.33"))


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity", "x"])
def test_an_amount_is_not_negative(subject, monkeypatch, value):
    assert subject.amount("AMOUNT", "0", "") == 0
    monkeypatch.setenv("AMOUNT", value)
    with pytest.raises(SettingInvalid, match=f"AMOUNT is {value}; allowed: 0 USDT or more"):
        subject.amount("AMOUNT", "0", "")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "NaN", "ten", "1000001"])
def test_a_count_is_whole_and_lets_something_through(subject, monkeypatch, value):
    assert subject.count("COUNT", "20", "") == 20
    monkeypatch.setenv("COUNT", value)
    with pytest.raises(SettingInvalid, match=f"COUNT is {value}; allowed: 1 to 1,000,000, whole"):
        subject.count("COUNT", "20", "")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "NaN", "Infinity"])
def test_a_number_of_things_is_whole_and_not_below_what_makes_sense(subject, monkeypatch, text):
    assert subject.whole("LIMIT", "7", "", least=1) == 7
    monkeypatch.setenv("LIMIT", "2e2")
    assert subject.whole("LIMIT", "7", "", least=1) == 200
    monkeypatch.setenv("LIMIT", text)
    with pytest.raises(SettingInvalid, match=f"LIMIT is {text}; allowed: 1 or more, whole"):
        subject.whole("LIMIT", "7", "", least=1)


@pytest.mark.parametrize("text", ["0.09", "-1", "nan", "inf", "soon"])
def test_seconds_are_finite_and_not_below_their_least(subject, monkeypatch, text):
    assert subject.seconds("WITHIN", "0.6", "", least=0.1) == 0.6
    monkeypatch.setenv("WITHIN", text)
    with pytest.raises(SettingInvalid, match=f"WITHIN is {text}; allowed: 0.1 s or more"):
        subject.seconds("WITHIN", "0.6", "", least=0.1)


def test_networks_are_read_or_refused(subject, monkeypatch):
    assert subject.networks("NETWORKS", "") == []
    monkeypatch.setenv("NETWORKS", "192.0.2.1, 2001:db8::/32,")
    assert subject.networks("NETWORKS", "") == ["192.0.2.1/32", "2001:db8::/32"]
    monkeypatch.setenv("NETWORKS", "192.0.2.1/24")
    with pytest.raises(SettingInvalid, match=r"NETWORKS is 192.0.2.1/24"):
        subject.networks("NETWORKS", "")


def test_named_addresses_are_read_or_refused(subject, monkeypatch):
    assert subject.named_addresses("SOURCES", "") == []
    monkeypatch.setenv("SOURCES", "kraken, binance=http://127.0.0.1:9001")
    assert subject.named_addresses("SOURCES", "") == [("kraken", ""), ("binance", "http://127.0.0.1:9001")]
    for wrong in ("kraken=127.0.0.1", "=http://127.0.0.1"):
        monkeypatch.setenv("SOURCES", wrong)
        with pytest.raises(SettingInvalid, match=f"SOURCES is {wrong}"):
            subject.named_addresses("SOURCES", "")


@pytest.mark.parametrize("text", ["true", "yes", "2", "on"])
def test_a_switch_is_no_word_that_could_be_taken_for_off(subject, monkeypatch, text):
    assert subject.switch("SWITCH", "1", "") is True
    monkeypatch.setenv("SWITCH", "0")
    assert subject.switch("SWITCH", "1", "") is False
    monkeypatch.setenv("SWITCH", text)
    with pytest.raises(SettingInvalid, match=f"SWITCH is {text}; allowed: 0 or 1"):
        subject.switch("SWITCH", "1", "")


def test_a_default_keeps_to_the_bounds_that_other_variables_set(subject):
    with pytest.raises(SettingInvalid, match=r"WIDE is by default 0.02; allowed: from `SPREAD` to below 1"):
        subject.rate("WIDE", "0.02", "", least=Decimal("0.03"), least_name="SPREAD")


def test_an_empty_value_counts_as_none(subject, monkeypatch):
    for name in ("RATE", "COUNT", "ADDRESS", "SWITCH", "KEY", "KEY_FILE"):
        monkeypatch.setenv(name, "")
    assert subject.rate("RATE", "0.1", "") == Decimal("0.1")
    assert subject.count("COUNT", "3", "") == 3
    assert subject.address("ADDRESS", "http://a", "") == "http://a"
    assert subject.switch("SWITCH", "1", "") is True
    assert subject.secret("KEY", "made up", "") == "made up"


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_a_secret_is_read_from_the_file_without_its_last_newline(subject, monkeypatch, tmp_path):
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("KEY_FILE", str(tmp_path / "key"))
    assert subject.secret("KEY", "", "") == "from a file"


def test_a_secret_beside_its_file_is_refused_and_not_shown(subject, monkeypatch, tmp_path):
    (tmp_path / "key").write_text("from-a-file")
    monkeypatch.setenv("KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("KEY", "from-a-variable")
    with pytest.raises(SettingInvalid, match="KEY and KEY_FILE are both set") as refused:
        subject.secret("KEY", "", "")
    assert "from-a" not in str(refused.value)


@pytest.mark.parametrize("made", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(subject, monkeypatch, tmp_path, made):
    if made:
        (tmp_path / "key").write_bytes(made)
    monkeypatch.setenv("KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(SettingInvalid, match=f"KEY_FILE: cannot read {tmp_path}/key"):
        subject.secret("KEY", "", "")


def test_an_empty_file_is_no_secret(subject, monkeypatch, tmp_path):
    (tmp_path / "key").write_text("\n")
    monkeypatch.setenv("KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(SettingInvalid, match=f"KEY_FILE: {tmp_path}/key is empty"):
        subject.secret("KEY", "made up", "")


def test_a_file_for_what_is_no_secret_is_refused(subject, monkeypatch, tmp_path):
    monkeypatch.setenv("RATE_FILE", str(tmp_path / "rate"))
    with pytest.raises(SettingInvalid, match="RATE_FILE is set, but RATE is no secret"):
        subject.rate("RATE", "0.1", "")


def test_the_stack_takes_in_the_files_of_all_secrets(tmp_path):
    declared = {each.name for subject in Subject.declared for each in subject.variables if each.is_secret}
    assert declared == set(secret_files.SECRETS)
    (tmp_path / "broker").write_text("redis://:secret@broker/0\n")
    environment = {"BROKER_URL_FILE": str(tmp_path / "broker"), "SERVICE_KEY": "kept", "SENTRY_DSN_FILE": ""}
    secret_files.take_in(environment)
    assert environment == {"BROKER_URL": "redis://:secret@broker/0", "SERVICE_KEY": "kept"}
    for wrong in (
        {"BROKER_URL": "x", "BROKER_URL_FILE": str(tmp_path / "broker")},
        {"BROKER_URL_FILE": "/no"},
    ):
        with pytest.raises(SystemExit, match="BROKER_URL_FILE"):
            secret_files.take_in(wrong)


def test_a_command_beside_a_database_that_a_file_names_gets_neither_ours_nor_keys(tmp_path):
    environment = {"VAR_DIR": str(tmp_path), "DATABASE_URL_FILE": "/run/secrets/database"}
    hand_in(environment)
    assert "DATABASE_URL" not in environment
    assert "SECRET_KEY" not in environment
    assert environment["DESK_DATABASE_URL"].startswith("postgresql://")
    assert os.environ.get("DATABASE_URL_FILE") is None
