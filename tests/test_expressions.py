"""Features as text: what is understood, that it is the same number, that it cannot look ahead, what is refused."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK

from runner.data.market import Market
from runner.errors import DataError
from runner.features import functions as features
from runner.features.expressions import DEEPEST, LONGEST, Expression
from runner.features.operators import FUNCTIONS, MOST_ROWS
from runner.panels.building import build_panel
from runner.targets import forward_return

ASSETS = ["A", "B", "C", "D"]
SERIES = ["vix", "tlt", "dxy"]
ROWS = 150


def market(rows: int = ROWS, seed: int = 0, gaps: float = 0.0, ret: bool = False) -> Market:
    rng = np.random.default_rng(seed)
    dates = pd.bdate_range("2019-12-02", periods=rows, name="date")
    levels = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, (rows, 8)), axis=0))
    volume = rng.lognormal(12, 1, (rows, 4))
    for cells in (levels, volume):
        cells[rng.random(cells.shape) < gaps] = np.nan
    close = pd.DataFrame(levels[:, :4], dates, ASSETS)
    price = {"ret": close / close.shift(1) - 1} if ret else {"close": close}
    return Market(
        "drawn",
        price | {"volume": pd.DataFrame(volume, dates, ASSETS)},
        pd.DataFrame(levels[:, 4:7], dates, SERIES),
        pd.Series(levels[:, 7], dates, name="MKT"),
    )


def replaced(data: Market, rows: np.ndarray, new: Callable[[np.ndarray], Any]) -> Market:
    """The market with new numbers on these rows."""

    def change(one: Any) -> Any:
        one = one.copy()
        one.iloc[rows] = new(one.iloc[rows].to_numpy())
        return one

    fields = {name: change(frame) for name, frame in data.fields.items()}
    return Market("", fields, change(data.series), change(data.market_close))


def missing(old: np.ndarray) -> np.ndarray:
    return np.full(old.shape, np.nan)


def cells(text: str, data: Market) -> np.ndarray:
    return Expression(text)(data).to_numpy()


# The same number in both ways of writing it

S1 = {
    "market_ret": ("market_ret", features.market_return),
    "market_ret, long": ("market_close / lag(market_close, 1) - 1", features.market_return),
    "mom_1m": ("close / lag(close, 21) - 1", lambda data: features.momentum(data, window=21)),
    "mom_3m": ("close / lag(close, 63) - 1", lambda data: features.momentum(data, window=63)),
    "mom_3m, short": ("change(close, 63)", lambda data: features.momentum(data, window=63)),
    "volume_surprise": (
        "volume / mean(volume, 20) - 1",
        lambda data: features.volume_surprise(data, window=20),
    ),
    "volatility": ("std(ret, 21)", lambda data: features.volatility(data, window=21)),
    "beta": ("beta(ret, market_ret, 60)", lambda data: features.beta(data, window=60)),
    "beta, long": (
        "cov(ret, market_ret, 60) / var(market_ret, 60)",
        lambda data: features.beta(data, window=60),
    ),
    "vix_chg": ("vix / lag(vix, 1) - 1", lambda data: features.change(data, series="vix")),
    "tlt_ret": ("tlt / lag(tlt, 1) - 1", lambda data: features.change(data, series="tlt")),
    "dxy_chg": ("change(dxy)", lambda data: features.change(data, series="dxy")),
    "shared": ("vix", lambda data: features.shared(data, series="vix")),
    "field": ("volume", lambda data: features.field(data, name="volume")),
}


@pytest.mark.parametrize("gaps", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("name", S1)
def test_the_signals_are_the_same_to_the_last_bit(name: str, gaps: float) -> None:
    text, function = S1[name]
    data = market(400, seed=3, gaps=gaps)
    found, expected = Expression(text)(data), function(data)
    same = (
        pd.testing.assert_series_equal
        if isinstance(expected, pd.Series)
        else pd.testing.assert_frame_equal
    )
    same(found, expected, check_exact=True)
    assert expected.notna().to_numpy().any()


@pytest.mark.parametrize("gaps", [0.0, 0.02])
def test_of_returns_only(gaps: float) -> None:
    data = market(gaps=gaps, ret=True)
    for text, expected in {
        "compound(ret, 21)": features.momentum(data, window=21),
        "std(ret, 21)": features.volatility(data, window=21),
        "beta(ret, market_ret, 60)": features.beta(data, window=60),
    }.items():
        pd.testing.assert_frame_equal(Expression(text)(data), expected, check_exact=True)


def test_a_panel_of_expressions_is_that_of_functions() -> None:
    data = market(gaps=0.01)
    names = ["mom_1m", "volume_surprise", "volatility", "beta", "vix_chg"]
    text = build_panel(data, {name: Expression(S1[name][0]) for name in names}, forward_return)
    code = build_panel(data, {name: S1[name][1] for name in names}, forward_return)
    np.testing.assert_array_equal(text.X, code.X)
    assert text.dropped == code.dropped


# Each function against its definition


def windows(
    statistic: Callable[..., float], n: int, *inputs: np.ndarray, ends: bool = False
) -> np.ndarray:
    """The statistic of every full window, or of its two ends, row by row; a series is read for every asset."""
    columns = [np.broadcast_to(one if one.ndim == 2 else one[:, None], (ROWS, 4)) for one in inputs]
    out = np.full((ROWS, 4), np.nan)
    for t in range(n - 1, ROWS):
        for i in range(4):
            past = [
                one[[t - n + 1, t] if ends else np.arange(t - n + 1, t + 1), i] for one in columns
            ]
            if not any(np.isnan(one).any() for one in past):
                out[t, i] = statistic(*past)
    return out


def skewness(x: np.ndarray) -> float:
    n, d = len(x), x - x.mean()
    return math.sqrt(n * (n - 1)) / (n - 2) * (d**3).mean() / (d**2).mean() ** 1.5


def covariance(x: np.ndarray, y: np.ndarray) -> float:
    return float((x - x.mean()) @ (y - y.mean()) / (len(x) - 1))


ONE_COLUMN: dict[str, tuple[int, Callable[..., float]]] = {
    "lag(volume, 7)": (8, lambda x: x[0]),
    "diff(volume)": (2, lambda x: x[-1] - x[0]),
    "diff(volume, 7)": (8, lambda x: x[-1] - x[0]),
    "change(volume)": (2, lambda x: x[-1] / x[0] - 1),
    "change(volume, n=7)": (8, lambda x: x[-1] / x[0] - 1),
    "compound(volume, 7)": (7, lambda x: np.prod(1 + x) - 1),
    "mean(volume, 7)": (7, np.mean),
    "mean(volume, 1)": (1, np.mean),
    "sum(volume, 7)": (7, np.sum),
    "min(volume, 7)": (7, np.min),
    "max(volume, 7)": (7, np.max),
    "median(volume, 6)": (6, np.median),
    "std(volume, 7)": (7, lambda x: np.std(x, ddof=1)),
    "var(volume, 2)": (2, lambda x: np.var(x, ddof=1)),
    "skew(volume, 7)": (7, skewness),
    "zscore(volume, 7)": (7, lambda x: (x[-1] - x.mean()) / x.std(ddof=1)),
}
TWO_COLUMNS: dict[str, Callable[..., float]] = {
    "cov": covariance,
    "corr": lambda x, y: covariance(x, y) / math.sqrt(covariance(x, x) * covariance(y, y)),
    "beta": lambda y, x: covariance(x, y) / covariance(x, x),
}
BY_CELL: dict[str, Callable[..., Any]] = {
    "abs(-close)": lambda c, v: c,
    "log(close)": lambda c, v: np.log(c),
    "exp(close / 50)": lambda c, v: np.exp(c / 50),
    "sqrt(close)": lambda c, v: np.sqrt(c),
    "sign(close - vix)": lambda c, v: np.sign(c - v),
    "maximum(close, vix)": np.maximum,
    "minimum(vix, close)": np.minimum,
    "minimum(60, close)": lambda c, v: np.minimum(c, 60.0),
    "clip(close, 45, 55)": lambda c, v: np.clip(c, 45, 55),
    "clip(close, lo=vix - 1, hi=vix)": lambda c, v: np.clip(c, v - 1, v),
    "where(close > vix, close, -1)": lambda c, v: np.where(
        np.isnan(c + v), np.nan, np.where(c > v, c, -1)
    ),
    "where(close - close, 1, 2)": lambda c, v: 2.0 + 0 * c,
    "close + vix": lambda c, v: c + v,
    "vix - close": lambda c, v: v - c,
    "2 * close * vix": lambda c, v: 2 * c * v,
    "vix / close": lambda c, v: v / c,
    "close ** (1/2)": lambda c, v: c**0.5,
    "close ** -sqrt(4)": lambda c, v: c**-2.0,
    "-close ** 2": lambda c, v: -(c**2),
    "+close": lambda c, v: c,
    "close * -(3 - 2**2) / 4": lambda c, v: c / 4,
    "close < vix": lambda c, v: (c < v) + 0 * (c + v),
    "close <= vix": lambda c, v: (c <= v) + 0 * (c + v),
    "vix > close": lambda c, v: (v > c) + 0 * (c + v),
    "close >= 50": lambda c, v: (c >= 50) + 0 * c,
    "close == close": lambda c, v: 1 + 0 * c,
    "close != vix": lambda c, v: 1 + 0 * (c + v),
}
ELSEWHERE = {"rank", "demean", "average", "ewma"}  # below


def test_no_function_is_without_its_definition_here() -> None:
    tested = {text.split("(")[0] for text in [*ONE_COLUMN, *BY_CELL]} | {*TWO_COLUMNS} | ELSEWHERE
    assert set(FUNCTIONS) <= tested


@pytest.mark.parametrize("gaps", [0.0, 0.02])
@pytest.mark.parametrize("text", ONE_COLUMN)
def test_of_one_column(text: str, gaps: float) -> None:
    n, statistic = ONE_COLUMN[text]
    data = market(gaps=gaps)
    data.fields["volume"][:] = np.log(data.fields["volume"]) / 10
    ends = text.startswith(("lag", "diff", "change"))
    expected = windows(statistic, n, data.get("volume").to_numpy(), ends=ends)
    if text.startswith("lag"):  # a gap on row t itself takes nothing from the past
        expected = np.vstack([np.full((7, 4), np.nan), data.get("volume").to_numpy()[:-7]])
    np.testing.assert_allclose(cells(text, data), expected, rtol=1e-7 if "skew" in text else 1e-9)
    of_series = cells(text.replace("volume", "vix"), data)  # the same of a series
    np.testing.assert_array_equal(of_series, cells(text, _as_field(data, "vix"))[:, 0])


def _as_field(data: Market, series: str) -> Market:
    frame = pd.DataFrame(dict.fromkeys(ASSETS, data.series[series]))
    return Market("", {**data.fields, "volume": frame}, data.series, data.market_close)


@pytest.mark.parametrize("gaps", [0.0, 0.02])
@pytest.mark.parametrize(
    ("one", "other"), [("ret", "market_ret"), ("market_ret", "ret"), ("ret", "volume")]
)
@pytest.mark.parametrize("name", TWO_COLUMNS)
def test_of_two_columns(name: str, one: str, other: str, gaps: float) -> None:
    data = market(gaps=gaps)
    expected = windows(TWO_COLUMNS[name], 9, cells(one, data), cells(other, data))
    found = Expression(f"{name}({one}, {other}, 9)")(data)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(cells(f"{name}(vix, tlt, 9)", data).shape, (ROWS,))


@pytest.mark.parametrize("text", BY_CELL)
def test_cell_by_cell(text: str) -> None:
    data = market(gaps=0.1)
    close, vix = data.get("close"), data.shared("vix")
    expected = BY_CELL[text](close.to_numpy(), vix.to_numpy()[:, None])
    found = Expression(text)(data)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert found.index.equals(close.index) and list(found.columns) == ASSETS


def test_among_the_assets_of_a_date() -> None:
    dates = pd.bdate_range("2020-01-01", periods=5)
    nan = math.nan
    x = [[3, 1, 2, 4], [1, 1, 2, nan], [nan, 7, nan, nan], [nan] * 4, [2, 2, 2, 2]]
    data = Market("", {"x": pd.DataFrame(x, dates, ASSETS)}, pd.DataFrame(index=dates))
    ranks = [[2 / 3, 0, 1 / 3, 1], [0.25, 0.25, 1, nan], [nan, 0.5, nan, nan], [nan] * 4, [0.5] * 4]
    np.testing.assert_array_equal(cells("rank(x)", data), ranks)
    less = [
        [0.5, -1.5, -0.5, 1.5],
        [-1 / 3, -1 / 3, 2 / 3, nan],
        [nan, 0, nan, nan],
        [nan] * 4,
        [0] * 4,
    ]
    np.testing.assert_allclose(cells("demean(x)", data), less, rtol=1e-15)
    np.testing.assert_allclose(cells("average(x)", data), [2.5, 4 / 3, 7, nan, 2], rtol=1e-15)
    np.testing.assert_allclose(cells("x - average(x)", data), less, rtol=1e-15)


def test_exponential_weights() -> None:
    data = market(gaps=0.05)
    found, x = cells("ewma(close, 9)", data), data.get("close").to_numpy()
    for t in range(ROWS):
        for i in range(4):
            known = ~np.isnan(x[: t + 1, i])
            weights = (0.8 ** np.arange(t, -1, -1))[known]
            full = known[-1] and known.sum() >= 9
            expected = weights @ x[: t + 1, i][known] / weights.sum() if full else np.nan
            np.testing.assert_allclose(found[t, i], expected, rtol=1e-12)


def test_what_did_not_move() -> None:
    dates = pd.bdate_range("2020-01-01", periods=40)
    x = pd.DataFrame({"A": 0.1, "B": np.random.default_rng(0).normal(size=40)}, dates)
    data = Market(
        "", {"x": x, "z": x["B"].to_frame("A").assign(B=x["B"])}, pd.DataFrame(index=dates)
    )
    assert (cells("std(x, 5)", data)[4:, 0] == 0).all()
    assert (
        np.isnan(cells("zscore(x, 5)", data)[:, 0]).all()
        and np.isnan(cells("corr(x, z, 5)", data)[:, 0]).all()
    )
    assert (np.abs(cells("corr(z, -z * 3, 5)", data)[4:] + 1) < 1e-12).all()
    assert (np.abs(cells("corr(z, z, 2)", data)[1:]) <= 1).all()
    still = Market(
        "", {"x": x["B"].where(np.arange(40) < 20, 0.1).to_frame(), "z": x[["B"]]}, data.series
    )
    assert np.isnan(cells("corr(x, z, 5)", still)[24:]).all()  # though rounding leaves a covariance


def test_bounds_that_cross_allow_nothing() -> None:
    assert np.isnan(cells("clip(close, 2, 1)", market())).all()


def test_numbers_that_are_none_become_missing_or_infinite_without_a_warning() -> None:
    with np.errstate(all="raise"):
        assert np.isnan(cells("log(-close)", market())).all()
        assert np.isinf(cells("close / 0", market())).all()
        assert np.isnan(
            cells("mean(close / 0, 3)", market())
        ).all()  # an infinite value is missing in a window


# The look-back

LOOKBACKS = {
    "close": 0,
    "market_close": 0,
    "ret": 1,
    "market_ret": 1,
    "close / lag(close, 21) - 1": 21,
    "change(close)": 1,
    "diff(close, 3)": 3,
    "mean(volume, 20)": 19,
    "mean(lag(volume, 5), 20)": 24,
    "lag(mean(ret, 20), 5)": 25,
    "std(ret, 21)": 21,
    "beta(ret, market_ret, 60)": 60,
    "beta(close, market_ret, 60)": 60,
    "corr(ret, lag(market_ret, 1), 10)": 11,
    "zscore(mean(vix, 3), 5)": 6,
    "compound(ret, 21)": 21,
    "median(close, 4) - min(close, 9)": 8,
    "rank(mean(close, 4))": 3,
    "demean(skew(ret, 10))": 10,
    "std(average(ret), 21)": 21,
    "clip(close, lag(close, 2), max(close, 5))": 4,
    "where(vix > mean(vix, 4), ret, 0)": 3,
    "-sqrt(252) * var(ret, 2 * 10)": 20,
    "lag(lag(lag(close, 1), 2), n=3)": 6,
}


@pytest.mark.parametrize("text", LOOKBACKS)
def test_look_back_is_known_and_no_longer_than_it_is(text: str) -> None:
    lookback = Expression(text).lookback
    assert lookback == LOOKBACKS[text]
    data, t = market(), 100

    def without(row: int) -> np.ndarray:
        return cells(text, replaced(data, np.array([row]), missing))[t]

    assert np.isnan(without(t - lookback)).all()  # the furthest row is needed
    np.testing.assert_allclose(
        without(t - lookback - 1), cells(text, data)[t], rtol=1e-9
    )  # the one before is not


def test_look_back_without_end() -> None:
    assert Expression("mean(ewma(ret, 5), 9)").lookback == math.inf


def trees(leaves: list[str], unary: list[str], binary: list[str]) -> st.SearchStrategy[str]:
    """Expressions of these leaves and templates, {n} a number of rows."""

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        n = st.integers(3, 12)
        ones = st.builds(lambda form, x, n: form.format(x=x, n=n), st.sampled_from(unary), inner, n)
        pairs = st.builds(
            lambda form, x, y, n: form.format(x=x, y=y, n=n),
            st.sampled_from(binary),
            inner,
            inner,
            n,
        )
        return ones | pairs

    return st.recursive(st.sampled_from(leaves), grow, max_leaves=6)


LEAVES = ["close", "volume", "vix", "ret", "market_ret", "market_close"]
EXACT = [
    "lag({x}, {n})",
    "diff({x}, {n})",
    "min({x}, {n})",
    "max({x}, {n})",
    "median({x}, {n})",
    "-{x}",
    "abs({x})",
]
EXACT_TWO = [
    "({x} + {y})",
    "({x} / {y})",
    "({x} > {y})",
    "where({x} > {y}, {x}, {y})",
    "maximum({x}, {y})",
]
ONLINE = [
    f"{name}({{x}}, {{n}})" for name in ("mean", "sum", "std", "var", "skew", "zscore", "compound")
]
ONLINE_TWO = [f"{name}({{x}}, {{y}}, {{n}})" for name in ("corr", "cov", "beta")]
ANY = trees(
    LEAVES,
    [*EXACT, *ONLINE, "ewma({x}, {n})", "log({x})", "rank(close * {x})", "demean(close * {x})"],
    EXACT_TWO + ONLINE_TWO,
)


@given(text=ANY, t=st.integers(0, ROWS - 2), seed=st.integers(0, 99), gone=st.booleans())
@QUICK
def test_row_t_uses_nothing_after_t(text: str, t: int, seed: int, gone: bool) -> None:
    expression, rng = Expression(text), np.random.default_rng(seed)
    data = market(seed=seed, gaps=0.01 * (seed % 3))
    new = missing if gone else lambda old: rng.uniform(0.1, 1e6, old.shape)
    other = replaced(data, np.arange(t + 1, ROWS), new)
    np.testing.assert_array_equal(
        expression(data).to_numpy()[: t + 1], expression(other).to_numpy()[: t + 1]
    )


@pytest.mark.parametrize(
    "form",
    [
        *EXACT,
        *EXACT_TWO,
        *ONLINE,
        *ONLINE_TWO,
        "ewma({x}, {n})",
        "rank({x})",
        "demean({x})",
        "average({x})",
    ],
)
def test_no_function_uses_the_rows_after(form: str) -> None:
    data, expression, rng = (
        market(gaps=0.01),
        Expression(form.format(x="ret", y="volume", n=9)),
        np.random.default_rng(1),
    )
    before = expression(data).to_numpy()
    for t in range(20, ROWS - 1, 7):
        other = replaced(
            data, np.arange(t + 1, ROWS), lambda old: 10 ** rng.uniform(-6, 9, old.shape)
        )
        np.testing.assert_array_equal(before[: t + 1], expression(other).to_numpy()[: t + 1])


@given(text=trees(LEAVES, EXACT, EXACT_TWO), seed=st.integers(0, 99))
@QUICK
def test_row_t_uses_nothing_before_its_look_back(text: str, seed: int) -> None:
    expression, rng = Expression(text), np.random.default_rng(seed)
    data, t = market(seed=seed), int(rng.integers(120, ROWS))
    other = replaced(
        data, np.arange(t - int(expression.lookback)), lambda old: rng.uniform(0.1, 1e6, old.shape)
    )
    np.testing.assert_array_equal(expression(data).to_numpy()[t], expression(other).to_numpy()[t])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", [*ONLINE, *ONLINE_TWO])
def test_windows_use_nothing_before_their_look_back(form: str, seed: int) -> None:
    """To 1e-6: pandas adds what enters a window and takes off what leaves it, so that rounding stays behind."""
    expression = Expression(form.format(x="ret", y="market_ret", n=9))
    data = market(seed=seed)
    for t in range(40, ROWS, 11):
        other = replaced(data, np.arange(t - int(expression.lookback)), lambda old: old[::-1] * 1.7)
        np.testing.assert_allclose(
            expression(data).iloc[t], expression(other).iloc[t], rtol=1e-6, atol=1e-12
        )


# What is refused

NEAR = "is unknown; allowed: lag, diff, change, compound, mean, sum, min, max, median, std, var, skew and 17 more"
KINDS = "allowed: numbers, names of data, + - * / **, comparisons and functions such as mean(x, 20)"
AHEAD = f"allowed: for n of lag(x, n): a whole number of rows from 1 to {MOST_ROWS:,}; it looks back, never ahead"
PRODUCT = "allowed: a product of conditions, such as (a > 0) * (b > 0)"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("meen(close, 20)", f"character 1: function 'meen' {NEAR}; did you mean 'mean'?"),
        ("1 + eval(close)", f"character 5: function 'eval' {NEAR}"),
        ("__import__(close)", f"character 1: function '__import__' {NEAR}"),
        ("close / lag(close, -21)", f"character 20: given '-21'; {AHEAD}"),
        ("lag(close, 0)", f"character 12: given '0'; {AHEAD}"),
        ("lag(close, n=1 - 2)", f"character 14: given '1 - 2'; {AHEAD}"),
        ("lag(close, 1.0)", f"character 12: given '1.0'; {AHEAD}"),
        ("lag(close, 4 / 2)", f"character 12: given '4 / 2'; {AHEAD}"),
        ("lag(close, True)", f"character 12: given 'True'; {KINDS}"),
        ("lag(close, vix)", f"character 12: given 'vix'; {AHEAD}"),
        ("lag(close, sqrt(4))", f"character 12: given 'sqrt(4)'; {AHEAD}"),
        ("lag(close, 1000001)", f"character 12: given '1000001'; {AHEAD}"),
        (
            "std(close, 1)",
            "given '1'; allowed: for n of std(x, n): a whole number of rows from 2 to 1,000,000",
        ),
        ("max(close, vix)", "from 1 to 1,000,000; maximum(a, b) is that of two"),
        ("mean(3, 20)", "character 6: given '3'; allowed: for x of mean(x, n): data, not a number"),
        (
            "rank(sqrt(2))",
            "character 6: given 'sqrt(2)'; allowed: for x of rank(x, group=none): data, not a number",
        ),
        ("mean(close)", "character 1: given 'mean(close)'; allowed: mean(x, n)"),
        ("mean()", "character 1: given 'mean()'; allowed: mean(x, n)"),
        (
            "change(close, 1, 2)",
            "character 1: given 'change(close, 1, 2)'; allowed: change(x, n=1)",
        ),
        ("mean(close, 5, n=5)", "character 1: given 'mean(close, 5, n=5)'; allowed: mean(x, n)"),
        ("mean(close, m=5)", "character 15: mean: argument 'm' is unknown; allowed: x, n"),
        ("mean(*close)", "character 1: given 'mean(*close)'; allowed: mean(x, n)"),
        ("mean(*close, 5)", f"character 6: given '*close'; {KINDS}"),
        ("mean(close, **vix)", "character 15: mean: argument '**' is unknown; allowed: x, n"),
        (
            "close.shift(-1)",
            "character 1: given 'close.shift'; allowed: functions, such as lag(x, 21) for x.shift(21)",
        ),
        ("1 + close.values", "character 5: given 'close.values'; allowed: functions"),
        (
            "close[1]",
            "character 1: given 'close[1]'; allowed: the past of a name, such as lag(x, 21)",
        ),
        ("close and ret", f"character 1: given 'close and ret'; {PRODUCT}"),
        ("(close > 1) & ret", f"character 1: given '(close > 1) & ret'; {PRODUCT}"),
        ("close | ret", "allowed: the greater of two conditions, maximum(a > 0, b > 0)"),
        ("not close", "character 1: given 'not close'; allowed: 1 - condition"),
        ("close if ret else vix", "allowed: where(condition, a, b)"),
        ("1 < close < 2", "allowed: one of < <= > >= == != at a time, such as (a < b) * (b < c)"),
        (
            "close in vix",
            "character 1: given 'close in vix'; allowed: one of < <= > >= == != at a time, such as (a < b) * (b < c)",
        ),
        (
            "close is vix",
            "character 1: given 'close is vix'; allowed: one of < <= > >= == != at a time, such as (a < b) * (b < c)",
        ),
        (
            "close ** vix",
            "character 10: given 'vix'; allowed: an exponent without data; exp(y * log(x)) for x ** y",
        ),
        ("close % 2", f"character 1: given 'close % 2'; {KINDS}"),
        ("close // 2", f"character 1: given 'close // 2'; {KINDS}"),
        ("close @ 2", f"character 1: given 'close @ 2'; {KINDS}"),
        ("~close", f"character 1: given '~close'; {KINDS}"),
        ("lambda: close", f"character 1: given 'lambda: close'; {KINDS}"),
        ("(x := close)", f"character 2: given 'x := close'; {KINDS}"),
        ("[x for x in close]", f"character 1: given '[x for x in close]'; {KINDS}"),
        ("{close: 1}", f"character 1: given '{{close: 1}}'; {KINDS}"),
        ("close, vix", f"character 1: given 'close, vix'; {KINDS}"),
        ("f'{close}'", KINDS),
        ("close + 'a'", f"""character 9: given "'a'"; {KINDS}"""),
        ("1j * close", f"character 1: given '1j'; {KINDS}"),
        ("None", f"character 1: given 'None'; {KINDS}"),
        ("close * __class__", "character 9: given '__class__'; allowed: names without __"),
        ("1e999 * close", "character 1: given '1e999'; allowed: finite numbers"),
        ("9" * 400 + " * close", "allowed: finite numbers"),
        ("close * (1 / 0)", "character 10: given '1 / 0'; allowed: finite numbers"),
        ("close * 9 ** 9 ** 9", "character 9: given '9 ** 9 ** 9'; allowed: finite numbers"),
        ("close * (-8) ** 0.5", "character 9: given '(-8) ** 0.5'; allowed: finite numbers"),
        ("close * 1e200 * 1e200", None),
        ("1 + 2", "given '1 + 2', a number; allowed: an expression that names data"),
        (
            "sqrt(252) > 3",
            "given 'sqrt(252) > 3', a number; allowed: an expression that names data",
        ),
        ("close / / 2", f"character 9: given '/ 2', invalid syntax; {KINDS}"),
        ("close + ", f"character 8: given the end of the text, invalid syntax; {KINDS}"),
        ("2 * (close", f"character 5: given '(close', '(' was never closed; {KINDS}"),
        ("a = close", "character 3: given '= close', invalid syntax"),
        ("close; vix", f"character 6: given '; vix', invalid syntax; {KINDS}"),
        ("close # price", f"character 7: given '#'; {KINDS}"),
        ("close\0", f"character 6: given '\\x00'; {KINDS}"),
        ("\ud800", f"character 1: given '\\ud800'; {KINDS}"),
        ("é * meen(close)", "character 5: function 'meen'"),
        ("x" + "+ x" * 400, f"given 1201 characters; allowed: at most {LONGEST}"),
        ("x" + "+x" * 400, f"too deeply nested; allowed: at most {DEEPEST} levels"),
        ("-" * 999 + "x", f"too deeply nested; allowed: at most {DEEPEST} levels"),
        ("(" * 400, "too many nested parentheses"),
        ("", "given ''; allowed: an expression such as close / lag(close, 21) - 1"),
        (" \n ", "allowed: an expression such as close / lag(close, 21) - 1"),
        (5, "given 5; allowed: an expression such as close / lag(close, 21) - 1"),
        (None, "given None; allowed: an expression such as close / lag(close, 21) - 1"),
    ],
)
def test_refused_in_one_line(text: Any, line: str | None) -> None:
    if line is None:  # of data, what is not finite is for the panel to count
        assert Expression(text).names == {"close"}
        return
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (its line is looked at)
        Expression(text)
    assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


WORDS = [
    *FUNCTIONS,
    *LEAVES,
    *"+-*/()<>=,.[]{}:;!%&|~^@#'\"\\\n\t0123456789",
    "**",
    " ",
    "lambda",
    "for",
    "__",
    "n=",
    "1e9",
]


@given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=25).map("".join))
@QUICK
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        expression = Expression(text)
    except ValueError as error:
        lines = str(error).splitlines()
    else:
        lines = sorted(expression.names)[:1]
    assert len(lines) == 1


@given(text=ANY)
@QUICK
def test_what_is_understood_gives_a_value_for_every_row(text: str) -> None:
    found = Expression(text)(market(40, gaps=0.05))
    assert found.shape in {(40,), (40, 4)} and (found.to_numpy().dtype == float)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "closs / vix",
            "'closs' is unknown; allowed: close, volume, vix, tlt, dxy, ret, market_ret, market_close, rows_per_year",
        ),
        ("vxi", "did you mean 'vix'?"),
        ("1 + mean", "mean is a function: write mean(x, n)"),
        (
            "rank(vix)",
            "rank(x) compares assets; given a series that all assets share; allowed: values by asset",
        ),
        ("demean(market_ret)", "demean(x) compares assets; given a series"),
        ("average(market_ret)", "average(x) compares assets; given a series"),
    ],
)
def test_what_the_data_does_not_have(text: str, line: str) -> None:
    with pytest.raises(DataError) as caught:
        Expression(text)(market())
    assert len(caught.value.mistakes) == 1 and line in caught.value.mistakes[0]


def test_every_unknown_name_is_reported() -> None:
    with pytest.raises(DataError) as caught:
        Expression("closs / lag(volumn, 2) + vix")(market())
    assert [line.split(" is unknown")[0] for line in caught.value.mistakes] == [
        "'closs'",
        "'volumn'",
    ]


def test_data_that_cannot_be_used() -> None:
    data = market()
    twice = Market("", {**data.fields, "vix": data.get("close")}, data.series, data.market_close)
    with pytest.raises(
        DataError, match="'vix' names a field and a series; allowed: a name for one thing"
    ):
        Expression("vix")(twice)
    named = Market(
        "",
        {"close": data.get("close"), "market_ret": data.get("close")},
        data.series,
        data.market_close,
    )
    with pytest.raises(DataError, match="'market_ret' names a field and what is computed"):
        Expression("market_ret")(named)
    with pytest.raises(DataError, match=r"no market asset; set data\.market"):
        Expression("market_ret")(Market("", data.fields, data.series))
    words = Market(
        "", {"close": data.get("close"), "note": data.get("close").map(str).add("x")}, data.series
    )
    with pytest.raises(DataError, match="'note': not numbers: could not convert"):
        Expression("note + 1")(words)
    turned = Market(
        "", {"close": data.get("close"), "volume": data.get("volume")[ASSETS[::-1]]}, data.series
    )
    late = Market("", {"close": data.get("close"), "volume": data.get("volume")[::-1]}, data.series)
    for other in (turned, late):
        with pytest.raises(DataError, match="'volume' lies on other rows or assets"):
            Expression("close * volume")(other)


# What else is promised


def test_a_return_is_that_of_the_price_where_both_are_there() -> None:
    data = market()
    both = Market("", {**data.fields, "ret": data.get("volume")}, data.series)
    pd.testing.assert_frame_equal(Expression("ret")(both), both.returns())


def test_whole_numbers_are_numbers() -> None:
    data = market()
    whole = Market("", {"volume": data.get("volume").round().astype(int)}, data.series)
    expected = features.volume_surprise(whole, window=20)
    pd.testing.assert_frame_equal(
        Expression("volume / mean(volume, 20) - 1")(whole), expected, check_exact=True
    )


def test_what_is_written_twice_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    returns = Market.returns
    monkeypatch.setattr(Market, "returns", lambda self: reads.append(1) or returns(self))
    found = Expression("(ret - mean(ret, 20)) / std(ret, 20) + ret * mean(ret, n=4*5)")(market())
    assert len(reads) == 1 and found.notna().to_numpy().any()


def test_one_asset_stays_a_frame() -> None:
    data = market()
    one = Market("", {"close": data.get("close")[["A"]]}, data.series, data.market_close)
    assert Expression("close / vix")(one).shape == (ROWS, 1)
    assert Expression("beta(vix, close, 5)")(one).shape == (ROWS, 1)


@pytest.mark.parametrize("text", [*LOOKBACKS, "vix", "clip(close, 1, 2)", "ewma(close, 3)"])
def test_the_market_stays_as_it_is(text: str) -> None:
    data = market(gaps=0.02)
    before = data.fingerprint
    found = Expression(text)(data)
    found.iloc[:] = 0.0
    assert Market(data.source, data.fields, data.series, data.market_close).fingerprint == before


def test_a_zero_has_no_sign() -> None:
    assert (cells("1 / (close * -0.0)", market()) == math.inf).all()


def test_python_does_not_warn_of_what_is_refused(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(ValueError, match=r"where\(condition, a, b\)"):
        Expression("1if close else 2")
    assert not recwarn.list


def test_it_is_a_value() -> None:
    text = "close / lag(close, 21) - 1"
    expression = Expression(text)
    assert (
        expression == Expression(text) != Expression("close")
        and len({expression, Expression(text)}) == 1
    )
    assert repr(expression) == f"Expression(text={text!r})"
    copied = pickle.loads(pickle.dumps(expression))
    pd.testing.assert_frame_equal(copied(market()), expression(market()))
    assert copied.names == {"close"} and copied.lookback == 21


def test_text_over_several_lines() -> None:
    found = Expression("\n  close\n    / lag(close,\n\t21) - 1\n")(market())
    pd.testing.assert_frame_equal(found, Expression("close / lag(close, 21) - 1")(market()))


def test_reading_a_text_imports_nothing_heavy() -> None:
    code = (
        "import sys; from runner.features.expressions import Expression; Expression('sqrt(252) * std(ret, 21)')\n"
        "print(sorted({'pandas', 'numpy', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
