"""Statistics of moving windows beside numpy, window by window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from runner.data.market import Market
from runner.features.functions import beta, volatility
from runner.features.operators import FUNCTIONS
from runner.numerics.trailing import rolling_var

DIGITS = 1e-12  # relative: a window of some hundred rows costs three of sixteen digits at most
SPIKE_DIGITS = 1e-9  # beside a value a million times the others, in the windows that hold it
SMALL = {"skew": 0.01}  # of a size of one: what is near zero has digits of that size
T, N = 140, 6


def zscore(x: np.ndarray) -> float:
    return float((x[-1] - x.mean()) / x.std(ddof=1))


def skew(x: np.ndarray) -> float:
    n, z = len(x), x - x.mean()
    return float(n / ((n - 1) * (n - 2)) * (z**3).sum() / x.std(ddof=1) ** 3)


ONE: dict[str, Callable[[np.ndarray], float]] = {
    "mean": np.mean,
    "std": lambda x: x.std(ddof=1),
    "var": lambda x: x.var(ddof=1),
    "zscore": zscore,
    "skew": skew,
}
TWO: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "cov": lambda x, y: np.cov(x, y)[0, 1],
    "corr": lambda x, y: np.corrcoef(x, y)[0, 1],
    "beta": lambda y, x: np.cov(x, y)[0, 1] / x.var(ddof=1),
}


def draws(seed: int, centre: float = 0.0) -> pd.DataFrame:
    values = centre + np.random.default_rng(seed).normal(0.0, 0.01, (T, N))
    return pd.DataFrame(values, pd.bdate_range("2020-01-01", periods=T))


def by_window(run: Callable[..., float], window: int, *values: pd.DataFrame) -> np.ndarray:
    """What numpy gives of every full window without a missing value, (T, N)."""
    found = np.full((T, N), np.nan)
    for t in range(window - 1, T):
        for i in range(N):
            parts = [one.to_numpy()[t - window + 1 : t + 1, i] for one in values]
            if all(np.isfinite(part).all() for part in parts):
                found[t, i] = run(*parts)
    return found


def spiked(values: pd.DataFrame) -> pd.DataFrame:
    values.iloc[40, :3] = 1e4
    return values


def holed(values: pd.DataFrame) -> pd.DataFrame:
    values = values.mask(np.random.default_rng(9).random((T, N)) < 0.02)
    values.iloc[70, 0] = np.inf
    return values


@pytest.mark.parametrize("window", [3, 8, 21, 63])
@pytest.mark.parametrize("change", [spiked, holed])
@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_windows_are_those_of_numpy(
    name: str, change: Callable[..., pd.DataFrame], window: int
) -> None:
    x, y = change(draws(1)), draws(2)
    values = (x,) if name in ONE else (x, y)
    expected = by_window((ONE | TWO)[name], window, *values)
    ours = FUNCTIONS[name].run(*values, window).to_numpy()
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(expected))
    with_spike = np.zeros((T, N), dtype=bool)
    with_spike[40 : 40 + window] = True
    size = np.abs(expected).clip(SMALL.get(name, 1e-4))
    off = np.abs(ours - expected) / size
    assert np.nanmax(np.where(with_spike, 0.0, off)) < DIGITS
    assert np.nanmax(off) < SPIKE_DIGITS


@pytest.mark.parametrize("name", ["std", "var", "zscore", "corr", "beta", "cov", "skew"])
def test_a_level_far_above_the_spread_costs_no_digit(name: str) -> None:
    centre = 2.0**30
    near, far = draws(1).round(6), draws(2)
    near, far = (
        (np.round(one * 2.0**20) / 2.0**20) for one in (near, far)
    )  # kept exactly beside the centre
    values = (near,) if name in ONE else (near, far)
    shifted = [one + centre for one in values]
    expected = FUNCTIONS[name].run(*values, 21)
    ours = FUNCTIONS[name].run(*shifted, 21)
    np.testing.assert_allclose(ours, expected, rtol=1e-11, atol=1e-17)


@pytest.mark.parametrize("level", [0.1, 1e-9, 12345.678, 0.0])
def test_a_constant_window_has_no_variance_at_all(level: float) -> None:
    x = draws(3)
    x.iloc[30:90] = level
    flat = np.arange(T)[30 + 20 : 90]
    for name in ("std", "var"):
        ours = FUNCTIONS[name].run(x, 21).to_numpy()
        assert (ours[flat] == 0.0).all() and (ours[100:] > 0.0).all()
    assert (FUNCTIONS["cov"].run(x, draws(4), 21).to_numpy()[flat] == 0.0).all()
    assert (FUNCTIONS["mean"].run(x, 21).to_numpy()[flat] == level).all()
    for name, values in (("zscore", (x,)), ("corr", (x, draws(4))), ("beta", (draws(4), x))):
        assert np.isnan(FUNCTIONS[name].run(*values, 21).to_numpy()[flat]).all()


def test_a_series_beside_a_frame_is_spread_over_its_assets() -> None:
    x, market = draws(1), draws(2)[0].rename("market")
    every = pd.DataFrame(dict.fromkeys(range(N), market))
    for name in TWO:
        pd.testing.assert_frame_equal(
            FUNCTIONS[name].run(x, market, 21), FUNCTIONS[name].run(x, every, 21)
        )
    alone = FUNCTIONS["corr"].run(x[0], market, 21)
    assert isinstance(alone, pd.Series)
    np.testing.assert_array_equal(alone, FUNCTIONS["corr"].run(x, market, 21)[0])


def test_rows_before_and_after_a_window_do_not_move_a_bit() -> None:
    x = spiked(draws(1))
    whole = rolling_var(x, 21)
    np.testing.assert_array_equal(rolling_var(x.iloc[45:120], 21).iloc[20:], whole.iloc[65:120])


def test_one_bad_price_leaves_the_windows_after_it() -> None:
    generator = np.random.default_rng(7)
    days = pd.bdate_range("2020-01-01", periods=300)
    index = pd.Series(100.0 * np.cumprod(1.0 + generator.normal(0.0003, 0.01, 300)), days)
    prices = pd.DataFrame(
        {"AAA": 50.0 * np.cumprod(1.0 + generator.normal(0.0002, 0.01, 300))}, days
    )
    prices.iloc[100] *= 1e6
    market = Market("made", {"close": prices}, pd.DataFrame(index=days), index)
    r, m = (
        one.to_numpy().ravel() for one in (market.returns(), index.pct_change(fill_method=None))
    )
    ours, slope = volatility(market, window=21), beta(market, window=60)
    for t in (150, 200, 299):
        own, other = r[t - 59 : t + 1], m[t - 59 : t + 1]
        assert ours["AAA"].iloc[t] == pytest.approx(r[t - 20 : t + 1].std(ddof=1), rel=DIGITS)
        assert slope["AAA"].iloc[t] == pytest.approx(
            np.cov(own, other)[0, 1] / other.var(ddof=1), rel=1e-9
        )


def test_an_account_that_pays_the_same_rate_has_no_volatility() -> None:
    days = pd.bdate_range("2020-01-01", periods=T)
    generator = np.random.default_rng(7)
    prices = pd.DataFrame(
        {
            "CASH": 100.0 * 1.0001 ** np.arange(T),
            "CENTS": (100.0 * 1.0001 ** np.arange(T)).round(2),
            "AAA": 50.0 * np.cumprod(1.0 + generator.normal(0.0, 0.01, T)),
        },
        days,
    )
    market = Market("made", {"close": prices}, pd.DataFrame(index=days), prices["CASH"])
    ours = volatility(market, window=21).iloc[21:]
    assert (ours["CASH"] == 0.0).all()
    assert (ours[["CENTS", "AAA"]] > 0.0).all(axis=None)
    assert beta(market, window=21).isna().all(axis=None)
    ratio = FUNCTIONS["zscore"].run(market.returns(), 21).iloc[21:]
    assert ratio["CASH"].isna().all() and ratio["AAA"].notna().all()
