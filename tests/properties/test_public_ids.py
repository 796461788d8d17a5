"""Public ids: each number has one of each kind, which leads back to it; nobody makes one, and none tells of another."""

import string
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counter.public_ids import DIGITS, MAX_ROW_ID, NOBODYS, Kind, NoPublicId, PublicIds, row_of
from counter.public_ids import public_id as of_ours

KEY = "a key of the tests, which never changes"
IDS = PublicIds(KEY)
NUMBERS = st.integers(min_value=1, max_value=MAX_ROW_ID)
KINDS = st.sampled_from(Kind)
# Customers keep ids: a change of the algorithm would make those of every installation unknown.
KNOWN = {
    (Kind.ORDER, 1): "ord_2ac322bd6975a8c6828a2ec2dcac3ed0",
    (Kind.ORDER, 1017): "ord_94a8239c2ac53c1fdc8bde36c6a37f4c",
    (Kind.ORDER, MAX_ROW_ID): "ord_f5cc3b511d4119c007c4284b48f0b47d",
    (Kind.POSITION, 1017): "pos_ac92712c7b73557a376159b2671dd001",
    (Kind.FIRM_QUOTE, 1017): "quo_f0704c0cd18492cc189d7d921c6ea41a",
    (Kind.LEDGER_ENTRY, 1017): "ent_cee262b98f3df02a42c077295257441d",
    (Kind.WITHDRAWAL, 1017): "wdr_4756cee9d4d9972630d94010756a14f7",
    (Kind.STREAM_MARK, 1017): "mrk_6d0c1b72f288174475b9eb8cb0bbc477",
}


def bits(public_id: str) -> int:
    return int(public_id[-DIGITS:], 16)


def test_known_answers():
    assert {kind for kind, _ in KNOWN} == set(Kind)
    for (kind, number), written in KNOWN.items():
        assert IDS.public_id(kind, number) == written
        assert IDS.row_id(kind, written) == number


@given(kind=KINDS, number=NUMBERS)
def test_an_id_leads_back_to_its_row_and_is_written_as_the_schema_says(kind, number):
    told = IDS.public_id(kind, number)
    assert told.startswith(f"{kind.value}_")
    assert set(told[-DIGITS:]) <= set(string.hexdigits.lower())
    assert IDS.row_id(kind, told) == number
    assert IDS.public_id(kind, number) == told


@given(kind=KINDS, first=NUMBERS, second=NUMBERS)
def test_different_rows_have_different_ids(kind, first, second):
    same = IDS.public_id(kind, first) == IDS.public_id(kind, second)
    assert same == (first == second)


@given(kind=KINDS, other=KINDS, number=NUMBERS)
def test_an_id_of_one_kind_is_none_of_another(kind, other, number):
    told = IDS.public_id(kind, number)
    if kind is not other:
        with pytest.raises(NoPublicId):
            IDS.row_id(other, told)
        assert IDS.row_id(other, f"{other.value}_{told[-DIGITS:]}") == NOBODYS
        assert bits(told) != bits(IDS.public_id(other, number))


def test_neighbours_look_unrelated():
    """Of 128 bits each differs in half of the cases: as of numbers drawn at random, and in no order."""
    told = [bits(IDS.public_id(Kind.ORDER, number)) for number in range(1, 4002)]
    differing = [(first ^ second).bit_count() for first, second in pairwise(told)]
    assert 63.4 < sum(differing) / len(differing) < 64.6  # 64, and seven deviations of 0.09
    assert min(differing) > 30
    rising = sum(first < second for first, second in pairwise(told))
    assert 1850 < rising < 2150  # of 4,000; eight deviations of 18


@given(kind=KINDS, digits=st.text(alphabet="0123456789abcdef", min_size=DIGITS, max_size=DIGITS))
def test_an_invented_id_is_nobodys(kind, digits):
    assert IDS.row_id(kind, f"{kind.value}_{digits}") == NOBODYS


def test_another_key_knows_none_of_the_ids():
    another = PublicIds(f"{KEY}!")
    for kind in Kind:
        told = another.public_id(kind, 1017)
        assert told != KNOWN[kind, 1017]
        assert IDS.row_id(kind, told) == NOBODYS


GOOD = KNOWN[Kind.ORDER, 1017]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1017",
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "0",
        GOOD + "\n",
        f" {GOOD}",
        GOOD[4:],
        "ord_" + "٣" * DIGITS,
    ],
)
def test_what_is_not_written_as_an_id_is_refused(text):
    with pytest.raises(NoPublicId, match="written ord_ and 32 hex digits"):
        IDS.row_id(Kind.ORDER, text)
    assert row_of(text) is None


def test_an_id_in_hand_tells_its_kind_by_itself():
    for kind in Kind:
        assert row_of(of_ours(kind, 1017)) == (kind, 1017)
    assert row_of(GOOD) is None  # of another key


def test_threads_do_not_disturb_each_other():
    wrong: list[int] = []

    def ask(first: int) -> None:
        numbers = range(first, first + 3000)
        wrong.extend(
            number
            for number in numbers
            if IDS.row_id(Kind.ORDER, IDS.public_id(Kind.ORDER, number)) != number
        )

    threads = [threading.Thread(target=ask, args=(1 + 10_000 * each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
