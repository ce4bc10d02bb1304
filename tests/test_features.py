"""Features against loops over single rows, and the promise of row t: data up to t and no further."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK

from runner.data.market import Market
from runner.errors import DataError
from runner.features import functions as features
from runner.numerics.trailing import compound

CONF = Path(__file__).parents[1] / "conf" / "features"
ASSETS = ["A", "B", "C"]
SERIES = ["vix", "tlt", "dxy"]
NAN = float("nan")


def market(rows: int = 150, seed: int = 0, gaps: float = 0.0, ret: bool = False) -> Market:
    rng = np.random.default_rng(seed)
    dates = pd.bdate_range("2019-12-02", periods=rows, name="date")
    shocks = rng.normal(0, 0.02, (rows, 7))
    levels = 50 * np.exp(np.cumsum(shocks, axis=0))
    levels[rng.random(levels.shape) < gaps] = np.nan
    volume = rng.lognormal(12, 1, (rows, 3))
    volume[rng.random(volume.shape) < gaps] = np.nan
    close = pd.DataFrame(levels[:, :3], dates, ASSETS)
    price = {"ret": close / close.shift(1) - 1} if ret else {"close": close}
    return Market(
        "drawn",
        price | {"volume": pd.DataFrame(volume, dates, ASSETS)},
        pd.DataFrame(levels[:, 3:6], dates, SERIES),
        pd.Series(levels[:, 6], dates, name="MKT"),
    )


def signals() -> dict[str, Callable[[Market], Any]]:
    """Every feature of the shipped files, and each of them by week and by month where it can be."""
    found: dict[str, Callable[[Market], Any]] = {}
    for name, node in yaml.safe_load((CONF / "signals.yaml").read_text()).items():
        function = getattr(features, node.pop("_target_").removeprefix("runner.features."))
        found[name] = lambda data, function=function, node=node: function(data, **node)
    return found


SIGNALS = signals()
BY_PERIOD = {
    f"{name} {frequency}": function
    for frequency in ("week", "month")
    for name, function in {
        "market_ret": lambda data, f=frequency: features.market_return(data, frequency=f),
        "change": lambda data, f=frequency: features.change(data, series="vix", frequency=f),
    }.items()
}
EVERY = {
    **SIGNALS,
    **BY_PERIOD,
    "shared": lambda data: features.shared(data, series="tlt"),
    "field": lambda data: features.field(data, name="volume"),
}


def close_to(found: pd.DataFrame | pd.Series, expected: np.ndarray) -> None:
    cells = found.to_numpy(dtype=float)
    assert cells.shape == expected.shape
    np.testing.assert_array_equal(np.isnan(cells), np.isnan(expected))
    np.testing.assert_allclose(cells, expected, rtol=1e-12, atol=1e-12)


def loop(rows: int, columns: int, cell: Callable[[int, int], float]) -> np.ndarray:
    """Cell by cell; a cell that cannot be computed from numbers only is NaN."""
    out = np.full((rows, columns), np.nan)
    for t in range(rows):
        for i in range(columns):
            out[t, i] = cell(t, i)
    return out


def simple(prices: np.ndarray) -> list[float]:
    return [NAN] + [prices[t] / prices[t - 1] - 1 for t in range(1, len(prices))]


# Each against its definition


@pytest.mark.parametrize("gaps", [0.0, 0.02, 0.2])
@pytest.mark.parametrize("window", [1, 2, 21])
def test_momentum(gaps: float, window: int) -> None:
    data = market(gaps=gaps)
    P = data.get("close").to_numpy()
    expected = loop(150, 3, lambda t, i: P[t, i] / P[t - window, i] - 1 if t >= window else NAN)
    close_to(features.momentum(data, window=window), expected)
    assert not np.isnan(expected).all()


@pytest.mark.parametrize("gaps", [0.0, 0.02])
@pytest.mark.parametrize("window", [2, 20])
def test_volume_surprise(gaps: float, window: int) -> None:
    data = market(gaps=gaps)
    V = data.get("volume").to_numpy()
    expected = loop(
        150,
        3,
        lambda t, i: (
            V[t, i] / (sum(V[t - window + 1 : t + 1, i]) / window) - 1 if t >= window - 1 else NAN
        ),
    )
    close_to(features.volume_surprise(data, window=window), expected)
    assert not np.isnan(expected).all()


def sample_std(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((one - mean) ** 2 for one in values) / (len(values) - 1))


@pytest.mark.parametrize("gaps", [0.0, 0.02])
@pytest.mark.parametrize("window", [2, 21])
def test_volatility_is_the_sample_deviation_of_returns(gaps: float, window: int) -> None:
    data = market(gaps=gaps)
    R = [simple(prices) for prices in data.get("close").to_numpy().T]
    # the first return is that of row 1: a window of w returns is full at row w
    expected = loop(
        150, 3, lambda t, i: sample_std(R[i][t - window + 1 : t + 1]) if t >= window else NAN
    )
    close_to(features.volatility(data, window=window), expected)
    assert not np.isnan(expected).all()


def test_volatility_divides_by_n_less_one() -> None:
    dates = pd.bdate_range("2020-01-01", periods=3)
    data = Market(
        "", {"close": pd.DataFrame({"A": [100.0, 110.0, 99.0]}, dates)}, pd.DataFrame(index=dates)
    )
    value = features.volatility(data, window=2)["A"].iloc[2]  # returns .1 and -.1
    assert value == pytest.approx(math.sqrt(0.02), rel=1e-12)
    assert value != pytest.approx(0.1, rel=0.1)  # ddof 0


@pytest.mark.parametrize("gaps", [0.0, 0.01])
@pytest.mark.parametrize("window", [2, 60])
def test_beta(gaps: float, window: int) -> None:
    data = market(gaps=gaps)
    R = [simple(prices) for prices in data.get("close").to_numpy().T]
    M = simple(data.index_close.to_numpy())

    def cell(t: int, i: int) -> float:
        if t < window:
            return NAN
        r, m = np.array(R[i][t - window + 1 : t + 1]), np.array(M[t - window + 1 : t + 1])
        dm = m - m.mean()
        return float((r - r.mean()) @ dm / (dm @ dm))

    expected = loop(150, 3, cell)
    found = features.beta(data, window=window).to_numpy()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    # of two returns that happen to be alike the slope is ill-conditioned
    np.testing.assert_allclose(found, expected, rtol=1e-12 if window > 2 else 1e-8, atol=1e-12)
    assert not np.isnan(expected).all()


def test_beta_of_the_market_itself_is_one_and_of_cash_zero() -> None:
    data = market()
    close = pd.DataFrame({"MKT": data.index_close, "CASH": 1.0})
    data = Market("", {"close": close}, data.series, data.market_close)
    found = features.beta(data, window=20).iloc[20:]
    np.testing.assert_allclose(found["MKT"], 1.0, rtol=1e-10)
    np.testing.assert_allclose(found["CASH"], 0.0, atol=1e-12)


@pytest.mark.parametrize("gaps", [0.0, 0.1])
def test_changes_over_one_row(gaps: float) -> None:
    data = market(gaps=gaps)
    close_to(features.market_return(data), np.array(simple(data.index_close.to_numpy())))
    for name in SERIES:
        close_to(features.change(data, series=name), np.array(simple(data.series[name].to_numpy())))


@pytest.mark.parametrize("frequency", ["week", "month"])
def test_changes_over_weeks_and_months(frequency: Any) -> None:
    data = market(gaps=0.05)
    last: dict[Any, int] = {}
    for t, day in enumerate(data.dates):  # business days from Monday to Friday
        last[day.isocalendar()[:2] if frequency == "week" else (day.year, day.month)] = t
    keep: dict[str, Any] = {"frequency": frequency, "partial": "keep"}
    running = frequency == "month"  # the data end on a Friday amid a month
    assert len(features.market_return(data, frequency=frequency)) == len(last) - running
    rows = list(last.values())
    found = features.market_return(data, **keep)
    assert list(found.index) == [data.dates[t] for t in rows]
    close_to(found, np.array(simple(data.index_close.to_numpy()[rows])))
    other = features.change(data, series="dxy", **keep)
    assert list(other.index) == [data.dates[t] for t in rows]
    close_to(other, np.array(simple(data.series["dxy"].to_numpy()[rows])))


def test_data_as_it_is() -> None:
    data = market()
    pd.testing.assert_series_equal(features.shared(data, series="tlt"), data.series["tlt"])
    pd.testing.assert_frame_equal(features.field(data, name="volume"), data.fields["volume"])


def test_returns_of_returns_compound() -> None:
    data = market(gaps=0.02, ret=True)
    R = data.get("ret").to_numpy()
    expected = loop(
        150, 3, lambda t, i: math.prod(1 + R[t - 20 : t + 1, i]) - 1 if t >= 20 else NAN
    )
    close_to(features.momentum(data, window=21), expected)
    pd.testing.assert_frame_equal(features.momentum(data, window=1), data.get("ret"))
    close_to(
        features.volatility(data, window=5),
        loop(150, 3, lambda t, i: sample_std(list(R[t - 4 : t + 1, i])) if t >= 4 else NAN),
    )


def test_a_total_loss_compounds_to_a_total_loss() -> None:
    returns = pd.DataFrame(
        {
            "A": [0.1, -1.0, 0.2, 0.3, 0.4],
            "B": [0.1, -1.0, NAN, 0.3, 0.4],
            "C": [0.1, -2.0, 0.2, 0.3, 0.4],
        }
    )
    found = compound(returns, 2)
    np.testing.assert_allclose(found["A"], [NAN, -1.0, -1.0, 0.56, 0.82], rtol=1e-12)
    np.testing.assert_allclose(found["B"], [NAN, -1.0, NAN, NAN, 0.82], rtol=1e-12)
    np.testing.assert_allclose(found["C"], [NAN, NAN, NAN, 0.56, 0.82], rtol=1e-12)
    np.testing.assert_allclose(compound(returns["A"], 3), [NAN, NAN, -1.0, -1.0, 1.184], rtol=1e-12)


def test_a_gap_makes_exactly_the_windows_that_hold_it_missing() -> None:
    data = market()
    holed = data.fields["close"].copy()
    holed.iloc[70, 1] = np.nan
    holey = Market("", {**data.fields, "close": holed}, data.series, data.market_close)
    lost = {
        "mom_1m": [70, 91],
        "mom_3m": [70, 133],
        "volatility": list(range(70, 92)),  # the returns of rows 70 and 71 are gone
        "beta": list(range(70, 131)),
    }
    for name, rows in lost.items():
        whole, part = SIGNALS[name](data), SIGNALS[name](holey)
        gone = np.flatnonzero(whole["B"].notna() & part["B"].isna())
        assert gone.tolist() == rows, name
        pd.testing.assert_frame_equal(part[["A", "C"]], whole[["A", "C"]])
        stays = whole["B"].notna() & part["B"].notna()
        np.testing.assert_allclose(part["B"][stays], whole["B"][stays], rtol=1e-11, atol=1e-13)


def test_an_absurd_value_leaves_no_trace_behind_its_window() -> None:
    data = market(rows=200)
    absurd = data.fields["close"].copy()
    absurd.iloc[70, 1] = 1e7
    loud = Market("", {**data.fields, "close": absurd}, data.series, data.market_close)
    for name, last in {"volatility": 92, "beta": 131}.items():
        np.testing.assert_allclose(
            SIGNALS[name](loud)["B"].iloc[last:], SIGNALS[name](data)["B"].iloc[last:], rtol=1e-3
        )


# Timing


def changed_after(data: Market, t: int, seed: int, how: str) -> Market:
    """The same market up to and including row t; after it, other numbers, the same ones scrambled, or none."""
    rng = np.random.default_rng(seed)
    order = np.append(np.arange(t + 1), rng.permutation(np.arange(t + 1, len(data.dates))))

    def other(frame: Any) -> Any:
        if how == "scrambled":
            return frame.iloc[order].set_axis(frame.index)
        frame = frame.copy()
        frame.iloc[t + 1 :] = (
            np.nan if how == "missing" else rng.uniform(0.1, 1e6, frame.iloc[t + 1 :].shape)
        )
        return frame

    fields = {name: other(frame) for name, frame in data.fields.items()}
    return Market("", fields, other(data.series), other(data.market_close))


@pytest.mark.parametrize("name", EVERY)
@given(
    t=st.integers(0, 148),
    seed=st.integers(0, 99),
    how=st.sampled_from(["other", "scrambled", "missing"]),
)
@QUICK
def test_row_t_uses_nothing_after_t(name: str, t: int, seed: int, how: str) -> None:
    data = market(seed=seed, gaps=0.01 * (seed % 3))
    before, after = EVERY[name](data), EVERY[name](changed_after(data, t, seed, how))
    until = data.dates[t]
    if name in BY_PERIOD:  # rows are the same; the one of the week of t comes after t
        assert before.index.equals(after.index)
    one, other = before.loc[:until], after.loc[:until]
    np.testing.assert_array_equal(one.to_numpy(), other.to_numpy())


@pytest.mark.parametrize("name", EVERY)
def test_row_t_does_use_row_t(name: str) -> None:
    data = market()
    changed = changed_after(data, 99, 1, "other")
    first = EVERY[name](data).loc[data.dates[100] :]
    assert (first.to_numpy() != EVERY[name](changed).loc[data.dates[100] :].to_numpy()).any()
    if name not in BY_PERIOD:
        assert np.all(first.iloc[0] != EVERY[name](changed).loc[data.dates[100]])


@pytest.mark.parametrize("name", EVERY)
def test_features_do_not_write_to_the_market(name: str) -> None:
    data = market(gaps=0.02)
    print_before = data.fingerprint
    EVERY[name](data)
    fresh = Market(data.source, data.fields, data.series, data.market_close)
    assert fresh.fingerprint == print_before


# What is refused


def test_what_the_data_does_not_have() -> None:
    data = market()
    bare = Market("", {"ret": data.fields["close"]}, data.series)
    for feature, reason in {
        "market_ret": "no market asset; set data.market",
        "beta": "no market asset; set data.market",
        "volume_surprise": "field 'volume' is unknown; allowed: ret",
    }.items():
        with pytest.raises(DataError, match=reason):
            SIGNALS[feature](bare)
    with pytest.raises(
        DataError, match="series 'vxi' is unknown; allowed: vix, tlt, dxy; did you mean 'vix'"
    ):
        features.change(data, series="vxi")
