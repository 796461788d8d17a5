"""The documents' figures are the bench's own, and those of a run that was in order."""

import json

import pytest

from tools.bench import write_figures
from tools.bench.write_figures import (
    DOCUMENTS,
    RECORDED,
    NotInOrder,
    cores,
    recorded_by_cores,
    recorded_of,
    written_into,
)


def recorded() -> dict:
    return json.loads(RECORDED.read_text())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_documents_show_what_the_writer_makes_of_the_recorded_figures(path):
    text = path.read_text()
    assert written_into(text, recorded()) == text, "run `make bench-figures`; figures are not written by hand"


def test_figures_come_with_their_date_machine_and_commit():
    figures = recorded() | {"commit": "0123456789ab", "quick": True}
    figures["machine"] |= {
        "processor": "Some CPU",
        "load_average_at_start": 0.1,
        "load_average_at_end": 2.5,
    }
    text = written_into("<!-- bench:summary -->\n<!-- /bench:summary -->", figures)
    for told in (
        figures["started_at"][:10],
        "commit 0123456789ab",
        "Some CPU",
        "quick run",
        "load average 0.1 before and 2.5",
    ):
        assert told in text


def test_what_stands_between_markers_gives_way_and_the_rest_stays():
    text = "before\n<!-- bench:summary -->\n| 99 |\n<!-- /bench:summary -->\nafter\n"
    written = written_into(text, recorded())
    assert "| 99 |" not in written
    assert written.startswith("before\n<!-- bench:summary -->\n")
    assert written.endswith("<!-- /bench:summary -->\nafter\n")
    assert written_into(written, recorded()) == written


def test_a_failed_run_is_shown_by_no_document():
    with pytest.raises(NotInOrder, match="coins were halted"):
        recorded_of({"trouble": ["coins were halted"], "audits": []})


@pytest.mark.parametrize("text", ["no markers", "<!-- bench:other -->\n<!-- /bench:other -->"])
def test_a_document_without_a_place_for_figures_is_refused(text):
    with pytest.raises(NotInOrder):
        written_into(text, recorded())


def test_a_run_is_recorded_without_what_no_document_shows():
    report = recorded() | {
        "audits": [{"broken": 0}, {"broken": 0}],
        "loads": [{"what": "single"}],
        "end_to_end": {"runs": [{"offered_per_s": 1000, "memory_mib": {"web": {}}, "cpu_seconds": {}}]},
    }
    found = recorded_of(report)
    assert found["audits"] == {"run": 2, "broken": 0}
    assert "loads" not in found
    assert found["end_to_end"]["runs"] == [{"offered_per_s": 1000}]


def on_cores(**figures) -> dict:
    """A report of a run on some cores."""
    known = recorded() | {"trouble": [], "audits": [], "loads": []}
    return {
        name: known[name] for name in ("started_at", "commit", "machine", "quick", "trouble", "audits")
    } | figures


def test_figures_by_cores_stand_side_by_side_as_multiples_of_the_fewest():
    one = on_cores(batch={"orders_per_s": 7000, "of_100": {"orders_per_s": 5000}})
    two = on_cores(batch={"orders_per_s": 14000, "of_100": {}}, single={"orders_per_s": 3000})
    text = cores({"by_cores": recorded_by_cores({}, {1: one, 2: two, 3: None})})
    assert "| | 1 | 2 |" in text
    assert "| batch | 7,000 (1.00) | 14,000 (2.00) |" in text
    assert "| batch of 100 | 5,000 (1.00) | none |" in text
    assert "| single | none | 3,000 |" in text


def test_a_number_of_cores_that_was_not_measured_since_keeps_its_figures():
    before = recorded_by_cores({}, {2: on_cores(single={"orders_per_s": 3000})})
    found = recorded_by_cores(before, {1: on_cores(single={"orders_per_s": 1500})})
    assert {count: run["rates"] for count, run in found.items()} == {
        "1": {"single": 1500},
        "2": {"single": 3000},
    }


def test_a_failed_run_on_some_cores_is_shown_by_no_document():
    with pytest.raises(NotInOrder, match="refused"):
        recorded_by_cores({}, {1: on_cores() | {"trouble": ["batch: refused"]}})


def test_nothing_is_written_from_a_failed_run(tmp_path, monkeypatch, capsys):
    failed = tmp_path / "bench.json"
    failed.write_text(json.dumps({"trouble": ["batch: no order was accepted"], "audits": []}))
    before = [path.read_text() for path in (*DOCUMENTS, RECORDED)]
    monkeypatch.setattr("sys.argv", ["write_figures", "--from", str(failed)])
    assert write_figures.main() == 1
    assert "batch: no order was accepted" in capsys.readouterr().err
    assert [path.read_text() for path in (*DOCUMENTS, RECORDED)] == before
