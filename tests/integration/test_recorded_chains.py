"""The pricing is held to option chains that a real venue published, wherever the recorded data is at hand."""

import csv
import gzip
import math
import os
from pathlib import Path
from statistics import median

import pytest

from counter.expiring.index_average import WINDOW
from counter.market.chain import is_option_chain, read_chain
from counter.market.volatility import DEFAULT_SURFACE, chain_surface
from counter.pricing.average_option import Averaging
from counter.pricing.black76 import YEAR, premium, to_premium, years_between
from counter.pricing.greeks import greeks

LIMIT_MEDIAN_COIN = 1e-4
SHARED_DATA = Path(
    os.environ.get("CROSSBOOK_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
)
CHAINS = sorted(SHARED_DATA.glob("deribit_options_*.csv.gz"))

pytestmark = pytest.mark.skipif(
    not CHAINS, reason=f"no recorded option chains in {SHARED_DATA}: set CROSSBOOK_SHARED_DATA"
)


@pytest.fixture(scope="module", params=CHAINS, ids=lambda path: path.name.split(".")[0])
def chain(request):
    return read_chain(request.param)


@pytest.fixture
def report(record_property, capsys):
    """Print error figures past pytest's capture, and leave them in the junit report as well."""

    def say(name, errors):
        ranked = sorted(errors)
        figures = {
            "options": len(ranked),
            "median": median(ranked),
            "p99": ranked[int(len(ranked) * 0.99)],
            "max": ranked[-1],
        }
        record_property(name, figures)
        with capsys.disabled():
            print(f"\n{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()))  # noqa: T201
        return figures

    return say


def model_inputs(row, **changes):
    inputs = {
        "kind": row.kind,
        "forward": float(row.futures),
        "strike": float(row.strike),
        "years": years_between(row.recorded_at, row.expiry_at),
        "iv": float(row.iv),
    }
    return {**inputs, **changes}


def surface_price(surface, row):
    """Price a row as the feed does: from its index alone, with the surface's own forward and volatility."""
    years = years_between(row.recorded_at, row.expiry_at)
    section = surface.section(underlying=row.underlying, years=years)
    forward = float(row.index) * section.forward_ratio
    iv = section.iv(math.log(float(row.strike) / forward))
    return premium(**model_inputs(row, forward=forward, iv=iv))


def test_the_chain_is_whole(chain):
    assert len(chain) > 1000
    assert {row.underlying for row in chain} == {"BTC", "ETH"}
    assert len({row.symbol for row in chain}) == len(chain)


def test_a_chain_is_told_from_other_recordings_by_its_header():
    others = [path for path in SHARED_DATA.glob("*.csv.gz") if path not in CHAINS]
    assert others
    assert all(is_option_chain(path) for path in CHAINS)
    assert not any(is_option_chain(path) for path in others)


def test_black76_reproduces_the_marks_from_their_own_futures_and_volatility(chain, report):
    figures = report(
        "black76 against marks", [abs(premium(**model_inputs(row)) - float(row.mark)) for row in chain]
    )
    assert figures["median"] < LIMIT_MEDIAN_COIN / 10
    assert figures["p99"] < LIMIT_MEDIAN_COIN


def test_the_whole_way_from_index_to_premium_stays_within_the_limit(chain, report):
    surface = chain_surface(chain)
    figures = report(
        "recorded surface against marks",
        [abs(surface_price(surface, row) - float(row.mark)) for row in chain],
    )
    assert figures["median"] < LIMIT_MEDIAN_COIN


def test_strikes_left_out_of_the_surface_are_priced_within_twice_the_limit(chain, report):
    """Every other strike makes the surface, the rest is priced: nothing is read back at a node.

    The gaps are twice as wide as recorded, where a straight line across a smile errs four times as much.
    """
    strikes = sorted({(row.underlying, row.expiry_at, row.strike) for row in chain})
    kept = set(strikes[::2])
    surface = chain_surface(row for row in chain if (row.underlying, row.expiry_at, row.strike) in kept)
    left_out = [row for row in chain if (row.underlying, row.expiry_at, row.strike) not in kept]
    figures = report(
        "left-out strikes against marks",
        [abs(surface_price(surface, row) - float(row.mark)) for row in left_out],
    )
    assert figures["median"] < 2 * LIMIT_MEDIAN_COIN


def test_quoted_premiums_enclose_the_model_within_the_limit(chain):
    for row in chain:
        model = premium(**model_inputs(row))
        bid, ask = to_premium(model, side="bid"), to_premium(model, side="ask")
        assert float(bid) <= model <= float(ask)
        assert ask - bid <= to_premium(0.000001, side="ask")


def test_total_variance_at_the_money_grows_with_time(chain):
    surface = chain_surface(chain)
    for underlying in ("BTC", "ETH"):
        variances = [
            surface.section(underlying=underlying, years=day / 365).iv(0) ** 2 * day for day in range(1, 330)
        ]
        assert variances == sorted(variances)
        assert variances[0] > 0


def test_the_default_surface_is_near_a_calm_market(report):
    chain = read_chain(CHAINS[0])
    figures = report(
        "default surface against marks",
        [abs(surface_price(DEFAULT_SURFACE, row) - float(row.mark)) for row in chain],
    )
    assert figures["median"] < 1e-3


@pytest.mark.parametrize("path", CHAINS, ids=lambda path: path.name.split(".")[0])
def test_delta_and_vega_are_those_recorded(path, report):
    """The venue's own figures leave the averaging out: rows of the last day before an expiry are left to others."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        recorded = {record["instrument_name"]: record for record in csv.DictReader(lines)}
    errors = {"delta": [], "vega in USD for 1 %": []}
    for row in read_chain(path):
        inputs = model_inputs(row)
        years = inputs.pop("years")
        if years < 1 / 365:
            continue
        found = greeks(**inputs, averaging=Averaging(years - WINDOW / YEAR, years))
        said = recorded[row.symbol]
        errors["delta"].append(abs(found.delta - float(said["delta"])))
        errors["vega in USD for 1 %"].append(abs(found.vega - float(said["vega"])))
    figures = {name: report(f"{name} against recorded", values) for name, values in errors.items()}
    assert figures["delta"]["median"] < 3e-4
    assert figures["vega in USD for 1 %"]["median"] < 0.02
