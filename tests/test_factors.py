"""Characteristic factors, held against a sort written as a loop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from runner.data.market import Market
from runner.errors import DataError, SpecError
from runner.experiment.spec import build
from runner.features.factors import long_short, portfolio
from runner.panels.building import build_panel
from runner.targets import same_period_return

REL = 1e-12  # sums of a few numbers in another order


def market_of(
    seed: int = 0, T: int = 40, N: int = 9, holes: float = 0.1, ties: bool = False
) -> Market:
    rng = np.random.default_rng(seed)
    dates, assets = pd.date_range("2020-01-01", periods=T, freq="B"), [f"A{i}" for i in range(N)]
    signal = rng.normal(size=(T, N)).round(0 if ties else 12)
    cells = {
        "ret": 0.01 * rng.normal(size=(T, N)),
        "signal": signal,
        "size": rng.lognormal(size=(T, N)),
    }
    for values in cells.values():
        values[rng.random((T, N)) < holes] = np.nan
    frames = {name: pd.DataFrame(values, dates, assets) for name, values in cells.items()}
    return Market("test", frames, pd.DataFrame(index=dates))


def sorted_by_hand(market: Market, quantile: float, lag: int, size: bool) -> np.ndarray:
    """Top less bottom, asset by asset, the rank of an asset from how many are below and how many are like it."""
    ret, signal, weight = (market.get(name).to_numpy() for name in ("ret", "signal", "size"))
    found = np.full(len(ret), np.nan)
    for t in range(lag, len(ret)):
        known = [i for i in range(ret.shape[1]) if np.isfinite(signal[t - lag, i])]
        legs: dict[str, list[tuple[float, float]]] = {"top": [], "bottom": []}
        for i in known:
            below = sum(signal[t - lag, j] < signal[t - lag, i] for j in known)
            like = sum(signal[t - lag, j] == signal[t - lag, i] for j in known)
            above = len(known) - below - like
            w = weight[t - lag, i] if size else 1.0
            side = "bottom" if below + like / 2 < quantile * len(known) - 1e-9 else ""
            side = "top" if above + like / 2 < quantile * len(known) - 1e-9 else side
            if side and np.isfinite(ret[t, i]) and np.isfinite(w):
                legs[side].append((w, ret[t, i]))
        if legs["top"] and legs["bottom"]:
            means = [
                sum(w * r for w, r in legs[side]) / sum(w for w, _ in legs[side])
                for side in ("top", "bottom")
            ]
            found[t] = means[0] - means[1]
    return found


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    ("quantile", "lag", "size"), [(0.3, 1, False), (0.2, 1, True), (0.5, 3, False)]
)
def test_it_is_the_sort_by_hand(quantile: float, lag: int, size: bool, ties: bool) -> None:
    market = market_of(ties=ties)
    found = long_short(
        market, signal="signal", quantile=quantile, lag=lag, weights="size" if size else None
    )
    np.testing.assert_allclose(
        found, sorted_by_hand(market, quantile, lag, size), rtol=REL, atol=1e-16
    )
    assert found.notna().sum() > 15


def test_the_sort_uses_rows_up_to_t_less_lag_and_the_return_of_t_only() -> None:
    market, t = market_of(holes=0.0), 20
    before = long_short(market, signal="mean(signal, 3)", lag=2)
    for name, row in (
        ("signal", t - 1),
        ("signal", t),
        ("signal", t + 1),
        ("ret", t - 1),
        ("ret", t + 1),
    ):
        other = market_of(holes=0.0)
        other.fields[name].iloc[row] = -7.0 * other.fields[name].iloc[row]
        assert long_short(other, signal="mean(signal, 3)", lag=2).iloc[t] == before.iloc[t]
    other = market_of(holes=0.0)
    other.fields["signal"].iloc[t - 2] = -7.0 * other.fields["signal"].iloc[t - 2]
    assert long_short(other, signal="mean(signal, 3)", lag=2).iloc[t] != before.iloc[t]


def test_a_member_without_a_return_leaves_its_place_empty() -> None:
    market = market_of(holes=0.0, N=6)
    top = market.get("signal").iloc[9].idxmax()
    market.get("ret").loc[market.dates[10], top] = np.nan
    found = long_short(market, signal="signal", quantile=0.4).iloc[10]  # two on each side
    order = market.get("signal").iloc[9].sort_values().index
    r = market.get("ret").iloc[10]
    assert found == pytest.approx(r[order[-2]] - r[order[:2]].mean(), rel=REL)


def test_dates_with_too_few_assets_or_all_tied_are_missing_and_counted() -> None:
    market = market_of(holes=0.0, N=4)
    market.get("signal").iloc[5, 1:] = np.nan  # one asset: no side
    market.get("signal").iloc[7] = 3.0  # all alike
    market.get("signal").iloc[9, 2:] = np.nan  # two: one on each side
    found = long_short(market, signal="signal", quantile=0.3)
    assert list(np.flatnonzero(found.isna())) == [0, 6, 8]
    panel = build_panel(
        market, {"LS": lambda m: long_short(m, signal="signal")}, same_period_return
    )
    assert ("asset-date", "LS is missing", 12) in [tuple(one) for one in panel.dropped]


def test_the_opposite_signal_gives_the_opposite_return() -> None:
    for quantile in (0.1, 0.2, 0.3, 0.4, 0.5):
        for N in (5, 7, 10):
            market = market_of(seed=N, N=N, holes=0.0, ties=N == 7)
            up, down = (
                long_short(market, signal=text, quantile=quantile) for text in ("signal", "-signal")
            )
            np.testing.assert_array_equal(up, -down)


def test_the_market_of_all_assets() -> None:
    market = market_of()
    ret, size = market.get("ret"), market.get("size").shift(2)
    np.testing.assert_allclose(portfolio(market), ret.mean(axis=1), rtol=REL)
    w = size.where(ret.notna())
    by_hand = np.array(
        [np.nansum(w.iloc[t] * ret.iloc[t]) / np.nansum(w.iloc[t]) for t in range(2, 40)]
    )
    np.testing.assert_allclose(
        portfolio(market, weights="size", lag=2).iloc[2:], by_hand, rtol=1e-10
    )
    assert portfolio(market, weights="size", lag=2).iloc[:2].isna().all()


def test_weights_that_are_not_positive_count_for_nothing() -> None:
    market = market_of(holes=0.0, N=4)
    market.get("size").iloc[:, 0] = -1.0
    market.get("size").iloc[:, 1] = 0.0
    expected = portfolio(
        Market("", {k: f.iloc[:, 2:] for k, f in market.fields.items()}, market.series),
        weights="size",
    )
    np.testing.assert_allclose(portfolio(market, weights="size"), expected, rtol=REL)


def test_wrong_signals_are_refused() -> None:
    market = market_of()
    market.series["macro"] = 1.0
    with pytest.raises(
        DataError, match=r"signal: 'macro' is the same for every asset; allowed: values by asset"
    ):
        long_short(market, signal="macro")
    with pytest.raises(DataError, match=r"'sigal' is unknown; .*did you mean 'signal'"):
        long_short(market, signal="sigal")
    node = {"_target_": "runner.features.long_short", "signal": "close /", "quantile": 0.6}
    with pytest.raises(SpecError) as caught:
        build({"features": {"LS": node}})
    lines = [line for line in caught.value.mistakes if line.startswith("features.LS")]
    assert lines[0].startswith("features.LS.signal: given 'close /'; character 8")
    assert lines[1] == "features.LS.quantile: given 0.6; allowed: a number above 0 and up to 0.5"
