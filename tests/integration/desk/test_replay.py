"""Replaying the error table over the recorded answers shows what it, or an edited one, would have made of them."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from settlement.models import Attempt, StateChange
from settlement.venues import error_table, error_table_trial
from settlement.venues.error_table import Table, TableInvalid
from tests.support.desk_bench import Desk, event, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])

POST: dict[str, Any] = {"path": "/api/v3/order$", "method": "POST", "count": 1}


@pytest.fixture
def history(desk: Desk) -> Desk:
    """A fill, a lost reply that was found, and two refusals, one of them unlisted."""
    desk.settle(event())
    for kind, told in (
        ("error_after", {}),
        ("error_before", {"status": 400, "code": -1102}),
        ("error_before", {"status": 400, "code": -987654}),
    ):
        desk.paper.add_fault(kind, **told, **POST)
        take_in(event())
        desk.convert()
    desk.resume(after=20)
    return desk


def edited(tmp_path: Path, change: Any) -> Path:
    rules = [
        rule
        for line in json.loads(error_table_trial.to_json(error_table.TABLE))
        if (rule := change(dict(line)))
    ]
    path = tmp_path / "table.json"
    path.write_text(json.dumps(rules))
    return path


def wrong_requests_are_retried(rule: dict[str, str]) -> dict[str, str]:
    return {**rule, "follow": "retry_later"} if rule["kind"] == "BadRequest" else rule


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    call_command("policy", *arguments)
    return capsys.readouterr().out


def test_the_table_that_judged_them_judges_every_answer_alike(history):
    replayed = error_table_trial.replay(table=error_table.TABLE)
    assert not any(row.differs for row in replayed)
    assert error_table_trial.verdicts(replayed) == {
        "done": (2, 2),
        "not_done human": (2, 2),
        "unknown ask": (1, 1),
    }


def test_an_edited_table_shows_what_it_would_have_done_and_changes_nothing(
    history, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "200")
    steps, attempts = StateChange.objects.count(), list(Attempt.objects.order_by("id").values())
    table = edited(tmp_path, wrong_requests_are_retried)
    (row,) = [
        row for row in error_table_trial.replay(table=error_table_trial.read_table(table)) if row.differs
    ]
    assert (row.heard, row.http_status, row.count) == ("BadRequest -1102", 400, 1)
    assert (row.then, row.now) == ("not_done human", "not_done retry_later")

    out = run(capsys, "--replay", "--table", str(table))
    assert "What differs" in out
    assert f"attempt {row.example}" in " ".join(out.split())
    assert StateChange.objects.count() == steps
    assert list(Attempt.objects.order_by("id").values()) == attempts
    assert "judged as it was" in run(capsys, "--replay")


def test_a_line_that_is_taken_out_leaves_the_answer_unlisted(history, tmp_path):
    def without_filters(rule: dict[str, str]) -> dict[str, str] | None:
        return rule if rule["kind"] not in ("BadRequest", "ServerError") else None

    table = error_table_trial.read_table(edited(tmp_path, without_filters))
    assert not any(
        row.differs for row in error_table_trial.replay(table=table)
    )  # a refusal and a 5xx need no line


def test_since_leaves_out_what_was_before(history, capsys):
    Attempt.objects.filter(code="ServerError -1007").update(sent_at=timezone.now() - timedelta(days=3))
    replayed = error_table_trial.replay(table=error_table.TABLE, since=timezone.now() - timedelta(days=1))
    assert "unknown ask" not in error_table_trial.verdicts(replayed)
    yesterday = (timezone.now() - timedelta(days=1)).date().isoformat()
    assert "unknown ask" not in run(capsys, "--replay", "--since", yesterday)
    assert "unknown ask" in run(capsys, "--replay")


def test_what_was_stored_before_follows_and_statuses_were_differs_only_by_its_outcome(history):
    Attempt.objects.update(follow="", http_status=None, venue="")
    different = [row for row in error_table_trial.replay(table=error_table.TABLE) if row.differs]
    # Without its status an unlisted answer may have executed.
    assert [(row.heard, row.then, row.now) for row in different] == [
        ("ExchangeError -987654", "not_done", "unknown ask")
    ]


def test_an_answer_that_never_came_and_one_that_is_no_failure_are_left_as_they_were(history):
    Attempt.objects.filter(code="ServerError -1007").update(
        code="", outcome="", follow="", answered_at=None, http_status=None
    )
    Attempt.objects.filter(call="ask").update(code="OrderNotFound", outcome="unknown")
    replayed = error_table_trial.replay(table=error_table.TABLE)
    assert not any(row.differs for row in replayed)
    assert error_table_trial.verdicts(replayed)["no answer"] == (1, 1)


def test_what_is_printed_is_read_back_as_the_same_table(tmp_path, capsys):
    path = tmp_path / "table.json"
    path.write_text(run(capsys, "--json"))
    assert error_table_trial.read_table(path).rules == error_table.TABLE.rules
    assert isinstance(error_table_trial.read_table(path), Table)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "truncated"),
        ("{}", "Expected"),
        ('[{"venue": "", "kind": "ServerError", "code": ""}]', "missing required field"),
        ('[{"venue":"","kind":"Eror","code":"","outcome":"unknown","follow":"ask","why":""}]', "no kind"),
        (
            '[{"venue":"","kind":"BadRequest","code":"","outcome":"no","follow":"ask","why":""}]',
            "Invalid enum",
        ),
        (
            '[{"venue":"","kind":"ServerError","code":"","outcome":"not_done","follow":"human","why":""}]',
            "may have executed",
        ),
    ],
)
def test_a_file_that_is_no_safe_table_is_refused(tmp_path, text, why):
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(TableInvalid, match=why):
        error_table_trial.read_table(path)
    with pytest.raises(CommandError, match=why):
        call_command("policy", "--replay", "--table", str(path))
