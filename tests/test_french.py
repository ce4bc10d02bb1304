"""The French data as it ships with linearmodels, dates and all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from linearmodels.datasets import french

from runner.data.sources.french import FACTORS, French
from runner.errors import DataError


def test_the_numbers_are_those_of_the_package() -> None:
    market, raw = French().load(), french.load()
    assert market.get("ret").shape == (819, 30)
    assert len(raw) == 819
    portfolios = [name for name in raw.columns if name not in {"dates", *FACTORS}]
    assert market.assets == portfolios
    np.testing.assert_array_equal(market.get("ret"), raw[portfolios])
    np.testing.assert_array_equal(market.series[FACTORS], raw[FACTORS])
    months = pd.DatetimeIndex(raw["dates"]).to_period("M")
    assert market.dates.to_period("M").equals(months)
    assert list(market.fields) == ["ret"] and market.market_close is None and market.dropped == ()


def test_rows_are_stamped_with_the_last_day_of_their_month() -> None:
    dates = French().load().dates
    assert dates.is_month_end.all() and dates.is_monotonic_increasing and dates.is_unique
    assert [str(day.date()) for day in dates[[0, 1, 37, -1]]] == [
        "1949-01-31",
        "1949-02-28",
        "1952-02-29",
        "2017-03-31",
    ]


def test_numbers_are_decimals_per_month() -> None:
    market = French().load()
    assert 0.01 < market.get("ret").std().mean() < 0.1
    assert 0.002 < market.shared("RF").mean() < 0.005
    assert market.get("ret").notna().all(axis=None)


def test_assets_in_the_order_asked_for_and_a_range() -> None:
    market = French(assets=["S5V5", "S1V1"], start="1990-01-01", end="1999-12-31").load()
    assert market.assets == ["S5V5", "S1V1"]
    assert len(market.dates) == 120 == len(market.series)
    pd.testing.assert_frame_equal(
        market.get("ret"),
        french.load().set_axis(French().load().dates)[["S5V5", "S1V1"]]["1990":"1999"],
        check_freq=False,
    )


def test_a_month_is_in_the_range_when_its_last_day_is() -> None:
    assert len(French(end="1949-02-27").load().dates) == 1
    assert len(French(end="1949-02-28").load().dates) == 2


def test_unknown_and_repeated_portfolios_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        French(assets=["S1V9", "S1V1", "MktRF", "S1V1"]).load()
    first, second, third = caught.value.mistakes
    assert first.startswith("data.assets: 'S1V9' is unknown") and "did you mean 'S1V" in first
    assert second.startswith("data.assets: 'MktRF' is unknown")  # a factor is not an asset
    assert third == "data.assets: 'S1V1' is listed more than once; allowed: once"
    with pytest.raises(DataError, match=r"holds no row; the data runs 1949-01-31\.\.2017-03-31"):
        French(start="2018-01-01").load()


def test_the_fingerprint_is_stable_and_sees_the_choice() -> None:
    assert French().load().fingerprint == French().load().fingerprint
    assert French(assets=["S1V1"]).load().fingerprint != French(assets=["S1V3"]).load().fingerprint
