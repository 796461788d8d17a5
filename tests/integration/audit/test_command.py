"""`manage.py audit` for people and for machines: what it prints and how it ends."""

import json

import pytest
from django.core.management import call_command

from tests.support.tampering import tampered

BREAK = "UPDATE counter_account SET balance = balance + 1 WHERE customer_id = %s"


def _run(capsys, *arguments: str) -> tuple[int, str]:
    try:
        call_command("audit", *arguments)
    except SystemExit as ended:
        return int(ended.code or 0), capsys.readouterr().out
    return 0, capsys.readouterr().out


@pytest.fixture
def configured(monkeypatch, venue):
    """The command's venue is this test's."""
    monkeypatch.setattr("audit.management.commands.audit.venue", lambda: venue)


def test_clean_books_end_with_success_and_all_nine(past, configured, capsys):
    code, printed = _run(capsys, "--json")
    report = json.loads(printed)
    assert code == 0
    assert [invariant["number"] for invariant in report["invariants"]] == list(range(1, 10))
    assert {invariant["state"] for invariant in report["invariants"]} == {"ok"}
    assert (report["broken"], report["in_flight"], report["unchecked"]) == (0, 0, [])


def test_broken_books_end_with_failure_and_the_place(past, configured, capsys):
    with tampered("default", "counter_account", BREAK, [past.customer.pk]):
        code, printed = _run(capsys, "--json")
        shown_code, shown = _run(capsys)
    (broken,) = json.loads(printed)["invariants"][1]["broken"]
    assert (code, shown_code) == (1, 1)
    assert broken["where"] == f"customer:{past.customer.pk}"
    assert f"customer:{past.customer.pk}: balance is not the sum of its transfers" in shown


def test_venue_left_out_is_no_failure_when_asked_for(past, capsys):
    code, printed = _run(capsys, "--offline")
    assert code == 0
    assert "5 unchecked the venue was not asked" in printed


def test_venue_that_is_away_is_a_failure(past, monkeypatch, capsys):
    from settlement.venues.ccxt_venue import CcxtVenue

    away = CcxtVenue(
        client="binance", url="http://127.0.0.1:1", api_key="k", api_secret="s", timeout_seconds=1.0
    )
    monkeypatch.setattr("audit.management.commands.audit.venue", lambda: away)
    code, printed = _run(capsys)
    assert code == 1
    assert "did not answer" in printed
