"""The options are read before anything is started."""

import pytest

from tools.chaos.options import OptionInvalid, Options, read_options


def test_the_default_is_two_minutes_of_seed_1_with_everything():
    assert read_options({}) == Options(seed=1, minutes=2, orders_per_s=100, only=(), without=())


def test_words_are_separated_by_commas():
    given = {
        "CHAOS_WITHOUT": "web, postgres",
        "CHAOS_ONLY": "kill",
        "CHAOS_SEED": "9",
        "CHAOS_MINUTES": "0.5",
    }
    options = read_options(given)
    assert (options.seed, options.minutes) == (9, 0.5)
    assert (options.only, options.without) == (("kill",), ("web", "postgres"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("CHAOS_SEED", text) for text in ("x", "-1", "1.5")),
        *(("CHAOS_MINUTES", text) for text in ("0", "nan", "inf", "1e9", "two")),
        *(("CHAOS_ORDERS_PER_S", text) for text in ("0", "5000")),
    ],
)
def test_what_makes_no_sense_is_named_with_its_variable(name, text):
    with pytest.raises(OptionInvalid, match=name):
        read_options({name: text})
