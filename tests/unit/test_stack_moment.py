"""`make hold MOMENT=...` takes a moment with its zone, and says what is missing of another."""

from datetime import UTC, datetime

import pytest

from tools.stack import __main__ as command


@pytest.mark.parametrize(
    ("written", "missing"),
    [("2026-11-24T12:00:00", "has no time zone"), ("yesterday", "is no moment: write 2026-11-24T12:00:00Z")],
)
def test_what_is_missing_of_a_moment_is_said(monkeypatch, capsys, tmp_path, written, missing):
    monkeypatch.setattr("sys.argv", ["stack", "--var-dir", str(tmp_path), "hold", written])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == command.USAGE_ERROR
    assert f"{written} {missing}" in capsys.readouterr().err


def test_a_moment_with_its_zone_is_one():
    assert command._moment("2026-11-24T12:00:00Z") == datetime(2026, 11, 24, 12, tzinfo=UTC)
