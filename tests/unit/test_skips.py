"""A test that cannot run here says in one line what it wants, and fails in CI."""

import pytest

from tests.support import skips

pytest_plugins = ["pytester"]
REASONS = [
    skips.needs("prometheus", "the alert rules were not tried"),
    skips.needs("chromium", "no page was seen in a browser"),
    skips.needs("chromium", "no page has listened"),
    "no recorded option chains in shared/data: set CROSSBOOK_SHARED_DATA",
]


WITHOUT_OURS = ("-p", "no:django", "-p", "no:xdist", "-p", "no:cacheprovider", "-p", "tests.support.skips")
TWO_SKIPS = """
    import pytest

    def test_wants_a_package():
        pytest.skip("the alert rules were not tried: apt-get install prometheus")

    @pytest.mark.skipif(True, reason="no recorded option chains in shared/data")
    def test_wants_data():
        pass
"""


@pytest.mark.parametrize(("ci", "outcomes"), [("true", {"failed": 1, "skipped": 1}), ("", {"skipped": 2})])
def test_in_ci_what_could_be_installed_fails(pytester, monkeypatch, ci, outcomes):
    monkeypatch.setenv("CI", ci)
    pytester.makepyfile(TWO_SKIPS)
    result = pytester.runpytest_inprocess(*WITHOUT_OURS)
    result.assert_outcomes(**outcomes)
    if ci:
        result.stdout.fnmatch_lines(["*in CI nothing is skipped: the alert rules were not tried*prometheus*"])


def test_skips_are_told_in_one_line_with_what_to_install():
    assert skips.told(REASONS) == (
        "4 skipped; to run them: apt-get install chromium prometheus; "
        "no recorded option chains in shared/data: set CROSSBOOK_SHARED_DATA"
    )
