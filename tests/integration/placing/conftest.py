"""A customer with money and an option that is quoted, at the time of the tests of placing.

Django is imported late: this may load before its set-up.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from counter.models import Customer, Option


@pytest.fixture
def option(db: None) -> "Option":
    from tests.support.factories import make_option
    from tests.support.placing import NOW

    return make_option(now=NOW)


@pytest.fixture
def customer(db: None) -> "Customer":
    from tests.support.factories import make_customer
    from tests.support.placing import NOW

    return make_customer(balance="1000", now=NOW)
