"""Skips are told in one line with what to install; in CI a test that wants something installed fails instead.

The reason of such a skip ends in what installs it, as `needs` writes it.
"""

import os
import re
from collections.abc import Iterator

import pytest

INSTALL = "apt-get install "
# What no installation brings: data that do not come with the project, another user, and rights of a container.
SKIPPED_IN_CI = (
    "no recorded option chains",
    "only root",
    "no disk can be mounted here",
    "no hosts can be made here",
)


def needs(package: str, otherwise: str) -> str:
    """Reason of a skip: what was not tested, and the Debian package without which it cannot be."""
    return f"{otherwise}: {INSTALL}{package}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        reason = _reason(report)
        if not any(known in reason for known in SKIPPED_IN_CI):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: in CI nothing is skipped: {reason}"
    return report  # type: ignore[return-value]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.write_line(told([_reason(report) for report in skipped]))


def told(reasons: list[str]) -> str:
    """One line for all skips: what to install, and the other reasons."""
    packages = sorted({found for reason in reasons for found in re.findall(f"{INSTALL}(.+)$", reason)})
    others = sorted({reason for reason in reasons if INSTALL not in reason})
    ways = [*([INSTALL + " ".join(packages)] if packages else []), *others]
    return f"{len(reasons)} skipped; to run them: {'; '.join(ways)}"


def _reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix(
        "Skipped: "
    )
