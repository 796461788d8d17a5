"""The guide says of every alert what it means and what to do, and of none that does not exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_guide_has_a_row_for_each_alert():
    rules = re.findall(r"- alert: (\w+)", (ROOT / "docs/monitoring/alerts.yml").read_text())
    rows = re.findall(r"^\| `(Crossbook\w+)` \|", (ROOT / "docs/alerts.md").read_text(), re.MULTILINE)
    assert rows == rules
