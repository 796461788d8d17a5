"""What starts a process is found in the code, however it is reached, and what is not found is refused."""

import subprocess
from functools import partial

import pytest

from tests.support.paper_process import VenueProcess
from tests.support.tiers import _Search

pytest_plugins = ["pytester"]


def runs():
    subprocess.run(["true"], check=True)


class Runner:
    @staticmethod
    def run():
        return runs


def calls_a_class():
    Runner().run()


def calls_a_helper():
    return VenueProcess


def imports_inside():
    from tests.support.browsing import chromium

    return chromium()


def in_a_circle(number):
    return in_a_circle(number - 1) if number else 0


def quiet():
    return sorted(["a", "b"])


FOUND = [runs, Runner, Runner(), calls_a_class, calls_a_helper, imports_inside, partial(runs), lambda: runs]


@pytest.mark.parametrize("code", FOUND)
def test_what_starts_a_process_is_found(code):
    assert _Search().starts(code)


@pytest.mark.parametrize("code", [quiet, in_a_circle, len, 7])
def test_what_starts_none_is_left_alone(code):
    assert not _Search().starts(code)


def test_a_process_that_was_not_foreseen_is_refused(pytester):
    pytester.makepyfile(
        """
        def test_hidden():
            __import__("sub" + "process").run(["true"])
        """
    )
    ours = ("-p", "no:django", "-p", "no:xdist", "-p", "no:cacheprovider", "-p", "tests.support.tiers")
    result = pytester.runpytest_inprocess(*ours)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*starts a process, and tests/support/tiers.py does not see where*"])
