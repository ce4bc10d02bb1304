"""Trailing sums against exact ones, and to the last bit whatever comes before or after."""

from __future__ import annotations

from math import fsum

import numpy as np
import pandas as pd
import pytest

from runner.data.market import Market, change
from runner.features.functions import realised_volatility
from runner.numerics import trailing
from runner.numerics.trailing import by_asset, rolling_sum, sums

EXACT = 1e-12  # relative to the sum of what is added without its signs
WINDOWS = [1, 2, 3, 5, 16, 21, 63, 126, 300, 301]


def awkward(T: int = 300, N: int = 5) -> np.ndarray:
    """Signs, gaps, spikes of 1e12 and 1e200 before calm rows, infinite cells, and a column of zeros."""
    rng = np.random.default_rng(3)
    cells = rng.standard_normal((T, N)) * 10.0 ** rng.integers(-9, 3, (T, N))
    cells[7, 0], cells[40, 0], cells[90:95, 1], cells[[20, 60], 2] = (
        1e12,
        -1e200,
        np.nan,
        [np.inf, -np.inf],
    )
    cells[:, 3] = 0.0
    return cells


@pytest.mark.parametrize("window", WINDOWS)
def test_sums_are_the_exact_ones(window: int) -> None:
    cells = awkward()
    found = rolling_sum(pd.DataFrame(cells), window).to_numpy()
    for t in range(300):
        for i in range(5):
            past = cells[max(t - window + 1, 0) : t + 1, i]
            if len(past) < window or not np.isfinite(past).all():
                assert np.isnan(found[t, i])
            else:
                assert abs(found[t, i] - fsum(past)) <= EXACT * fsum(np.abs(past))


@pytest.mark.parametrize("window", WINDOWS)
def test_a_sum_has_the_same_bits_wherever_the_data_begin_and_end_and_whatever_comes_later(
    window: int,
) -> None:
    cells = np.random.default_rng(1).standard_normal((300, 4))
    whole = rolling_sum(pd.DataFrame(cells), window).to_numpy()
    for cut in (1, 2, 5, 64, 127, 199, 256):
        later = cells.copy()
        later[cut:] = later[cut:][::-1] * 1e9
        np.testing.assert_array_equal(
            rolling_sum(pd.DataFrame(cells[:cut]), window).to_numpy(), whole[:cut]
        )
        np.testing.assert_array_equal(
            rolling_sum(pd.DataFrame(later), window).to_numpy()[:cut], whole[:cut]
        )
        part = rolling_sum(pd.DataFrame(cells[cut:]), window).to_numpy()
        np.testing.assert_array_equal(part[window - 1 :], whole[cut + window - 1 :])


@pytest.mark.parametrize("side", ["both", "down", "up"])
def test_volatility_of_a_row_has_the_same_bits_wherever_the_data_end(side: str) -> None:
    dates = pd.bdate_range("2020-01-01", periods=300, name="date")
    close = pd.DataFrame(100.0 + awkward()[:, [3, 4]].cumsum(axis=0), dates, ["A", "B"])
    close["A"] += np.random.default_rng(0).standard_normal(300)
    close = close.abs() + 1.0  # a price is above zero
    market = Market("test", {"close": close}, pd.DataFrame(index=dates))
    whole = realised_volatility(market, window=21, side=side)
    assert whole.notna().sum().sum() == 2 * (300 - 21)
    for cut in (21, 22, 100, 257):
        pd.testing.assert_frame_equal(
            realised_volatility(market.at(np.arange(cut)), window=21, side=side),
            whole.iloc[:cut],
            check_exact=True,
        )


def test_it_is_the_same_in_every_layout_and_for_some_assets_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = awkward()
    names = list("abcde")
    whole = rolling_sum(pd.DataFrame(cells, columns=names), 21)
    monkeypatch.setattr(trailing, "CELLS", 700)
    for order in ("C", "F"):
        given = pd.DataFrame(np.array(cells, order=order), columns=names, copy=False)
        before = given.copy()
        pd.testing.assert_frame_equal(rolling_sum(given, 21), whole, check_exact=True)
        pd.testing.assert_frame_equal(given, before, check_exact=True)
        for name in names:
            pd.testing.assert_series_equal(
                rolling_sum(given[name], 21), whole[name], check_exact=True
            )
    mixed = pd.DataFrame({"a": np.arange(5), "b": np.arange(5.0)})
    assert rolling_sum(mixed, 2)["a"].tolist()[1:] == [1.0, 3.0, 5.0, 7.0]


def test_frames_without_rows_or_assets_stay_so() -> None:
    for T, N in ((0, 3), (4, 0), (2, 3)):
        found = rolling_sum(pd.DataFrame(np.ones((T, N))), 3)
        assert found.shape == (T, N) and found.isna().all(axis=None)
    assert sums(np.ones((2, 3)), 3).shape == (0, 3)


def test_rows_before_the_first_window_are_missing_and_work_gives_the_last() -> None:
    found = by_asset(
        lambda cells: cells[2:] - cells[:-2], pd.Series([1.0, 2.0, 4.0, 8.0], name="x")
    )
    assert found.name == "x"
    np.testing.assert_array_equal(found, [np.nan, np.nan, 3.0, 6.0])


@pytest.mark.parametrize("rows", [1, 3, 12, 13])
def test_change_is_that_of_pandas(rows: int) -> None:
    prices = pd.DataFrame({"a": np.arange(12.0), "b": [np.nan, 2.0, np.inf] * 4}).iloc[:, ::-1]
    before = prices.shift(rows)
    expected = (prices / before - 1.0).where(
        (prices > 0.0) & (before > 0.0)
    )  # of a level above zero
    pd.testing.assert_frame_equal(change(prices, rows), expected, check_exact=True)
    pd.testing.assert_series_equal(change(prices["a"], rows), expected["a"], check_exact=True)
