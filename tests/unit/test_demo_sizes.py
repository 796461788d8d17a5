"""The demo's size is read before anything is started."""

import pytest

from tools import stack
from tools.demo.sizes import SizeInvalid, Sizes, read_sizes


def test_the_default_is_a_thousand_orders_of_twenty_customers_in_twenty_seconds():
    assert read_sizes({}) == Sizes(orders=1000, customers=20, seconds=20)
    assert read_sizes({"DEMO_ORDERS": "5", "DEMO_SECONDS": "2"}) == Sizes(orders=5, customers=20, seconds=2)


@pytest.mark.parametrize("text", ["abc", "-1", "0", "1.5", "1e3", "٣", "9" * 30])
def test_what_is_no_size_is_named_with_its_variable(text):
    with pytest.raises(SizeInvalid, match="DEMO_CUSTOMERS"):
        read_sizes({"DEMO_CUSTOMERS": text})


def test_a_recording_that_is_not_there_is_said_before_anything_starts(tmp_path):
    with pytest.raises(stack.StackFailed, match=r"nowhere\.csv"):
        stack.start(var_dir=tmp_path / "var", given={"MARKET_DATA": "/nowhere.csv"})
    assert not (tmp_path / "var").exists()
