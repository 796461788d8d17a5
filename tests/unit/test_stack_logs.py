"""Logs as `make up` shows them: short, and across rotation."""

from tools.stack.logs import Followed, compact


def test_a_structured_line_becomes_a_short_one():
    line = '{"event": "pull failed", "level": "error", "timestamp": "2026-01-02T03:04:05.6Z", "status": 404}'
    assert compact(line) == "03:04:05 ERROR pull failed status=404"


def test_other_lines_stay_as_they_are():
    for line in ("plain words", "[1, 2]", '{"no": "event"}', '{"cut'):
        assert compact(line) == line


def test_an_exception_shows_its_last_line_and_long_values_are_cut():
    line = (
        '{"event": "broke", "exception": "Traceback\\n  File\\nValueError: no", "body": "' + "x" * 500 + '"}'
    )
    shown = compact(line)
    assert shown.endswith("ValueError: no")
    assert len(shown) < 250


def test_only_new_lines_are_followed_and_rotation_loses_none(tmp_path):
    file = tmp_path / "web.log"
    file.write_text("old\n")
    followed = Followed(file)
    with file.open("a") as log:
        log.write("new\n\n")
    assert followed.lines() == ["new"]
    with file.open("a") as log:
        log.write("last before\n")
    file.rename(tmp_path / "web.log.1")
    file.write_text("first after\n")
    assert followed.lines() == ["last before"]
    assert followed.lines() == ["first after"]
    followed.close()
