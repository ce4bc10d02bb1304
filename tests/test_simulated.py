"""The simulated source: what it promises is what regressions of it find."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from runner.cli.composition import Composer
from runner.data.market import Market
from runner.data.sources.simulation.simulated import Simulated
from runner.errors import DataError, SpecError

SMALL = Simulated(assets=12, rows=600, seed=3)
WHOLE = replace(SMALL, churn=0.0)
SPEC = Path(__file__).parents[1] / "conf" / "data" / "simulated.yaml"


def fama_macbeth(market: Market) -> tuple[float, float]:
    """Mean slope of the next row's return on the signal, one regression per date, and its error."""
    y = market.returns().to_numpy()[1:]
    x = market.get("signal").to_numpy()[:-1]
    slopes = []
    for returns, signal in zip(y, x, strict=True):
        both = np.isfinite(returns) & np.isfinite(signal)
        design = np.column_stack([np.ones(both.sum()), signal[both]])
        slopes.append(np.linalg.lstsq(design, returns[both], rcond=None)[0][1])
    return float(np.mean(slopes)), float(np.std(slopes, ddof=1) / np.sqrt(len(slopes)))


def time_series(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Constant and slope, and their HC0 errors."""
    keep = np.isfinite(y) & np.isfinite(x)
    design = np.column_stack([np.ones(keep.sum()), x[keep]])
    estimate, *_ = np.linalg.lstsq(design, y[keep], rcond=None)
    bread = np.linalg.inv(design.T @ design)
    scores = design * (y[keep] - design @ estimate)[:, None]
    return estimate, np.sqrt(np.diag(bread @ scores.T @ scores @ bread))


def test_the_yaml_states_the_defaults_of_the_class() -> None:
    spec = yaml.safe_load(SPEC.read_text())
    assert spec.pop("_target_") == "runner.data.Simulated"
    assert Simulated(**spec) == Simulated()
    assert set(spec) == set(Simulated.__dataclass_fields__)


def test_shapes_names_and_source() -> None:
    market = SMALL.load()
    assert market.source == "simulated, seed 3"
    assert sorted(market.fields) == ["close", "market_cap", "signal", "volume"]
    assert all(frame.shape == (600, 12) for frame in market.fields.values())
    assert market.assets[:2] == ["S0001", "S0002"]
    assert market.index_close.name == "MKT"
    assert list(market.groups.columns) == ["sector"]
    assert list(market.groups.index) == market.assets
    assert market.groups["sector"].nunique() == 8
    assert market.dropped == ()


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    assert SMALL.load().fingerprint == SMALL.load().fingerprint
    assert SMALL.load().fingerprint != replace(SMALL, seed=4).load().fingerprint


@pytest.mark.parametrize(
    "change", [{"assets": 40}, {"rows": 1111}, {"market": None}, {"macro": {"vix": "^VIX"}}]
)
def test_what_is_added_leaves_the_other_cells_as_they_were(change: dict[str, object]) -> None:
    before, after = WHOLE.load(), replace(WHOLE, **change).load()  # type: ignore[arg-type]
    for name, frame in before.fields.items():
        pd.testing.assert_frame_equal(
            frame, after.get(name).iloc[:600, :12], check_exact=True, check_freq=False
        )


def test_churn_and_gaps_blank_cells_and_change_no_price() -> None:
    whole, holed = (
        WHOLE.load().get("close"),
        replace(WHOLE, churn=1.0, gaps=0.1).load().get("close"),
    )
    assert holed.isna().to_numpy().mean() > 0.1
    assert (holed.isna() | holed.eq(whole)).all(axis=None)


def test_listings_start_and_end_as_the_truth_says() -> None:
    source = Simulated(assets=300, rows=500, churn=0.4)
    market, truth = source.load(), source.truth()
    rows = np.arange(500)[:, None]
    inside = (rows >= truth["first"].to_numpy()) & (rows <= truth["last"].to_numpy())
    for frame in market.fields.values():
        np.testing.assert_array_equal(frame.notna().to_numpy(), inside)
    late, early = (truth["first"] > 0), (truth["last"] < 499)
    assert not (late & early).any()
    assert late.sum() > 30
    assert early.sum() > 30
    assert abs((late | early).mean() - 0.4) < 4 * np.sqrt(0.4 * 0.6 / 300)


def test_every_asset_picked_by_churn_loses_a_row_and_keeps_one() -> None:
    for rows in (2, 3, 5):
        close = Simulated(assets=50, rows=rows, churn=1.0).load().get("close")
        assert close.notna().sum().between(1, rows - 1).all()


def test_gaps_are_the_share_asked_for() -> None:
    close = replace(WHOLE, gaps=0.05, assets=100).load().get("close")
    assert abs(close.isna().to_numpy().mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / close.size)


def test_prices_volumes_and_caps_are_positive_even_when_wild() -> None:
    wild = replace(WHOLE, volatility=3.0, market_volatility=1.0, tail=2.5, rows=400)
    market = wild.load()
    for name in ("close", "volume", "market_cap"):
        assert market.get(name).gt(0).all(axis=None)
    assert np.isfinite(market.get("volume")).all(axis=None)


def test_returns_cut_at_the_floor_are_counted() -> None:
    market = replace(WHOLE, volatility=4.0, tail=2.5, rows=300).load()
    (line,) = market.dropped
    floor = market.returns().le(-0.95 + 1e-12).to_numpy().sum()
    assert floor <= line.rows <= floor + 12  # the first row has no return to see
    assert line.rows > 0


def test_prices_that_leave_the_range_of_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="lower the volatilities"):
        replace(WHOLE, market_premium=3.0, rows=1000).load()


def test_betas_and_alphas_are_recovered() -> None:
    source = Simulated(assets=40, rows=5000, alpha_spread=0.001, seed=1)
    market, truth = source.load(), source.truth()
    x = market.index_close.pct_change().to_numpy()
    for name, y in market.returns().items():
        estimate, error = time_series(y.to_numpy(), x)
        true = truth.loc[name, ["alpha", "beta"]].to_numpy(dtype=float)
        assert (np.abs(estimate - true) < 4 * error).all(), name


def test_volatilities_are_the_annual_ones() -> None:
    source = Simulated(assets=60, rows=20000, churn=0.0, tail=None, reaction=0.03)
    market, truth = source.load(), source.truth()
    index = market.index_close.pct_change()
    assert index.std() * np.sqrt(252) == pytest.approx(0.16, rel=0.05)
    own = market.returns() - np.outer(index, truth["beta"])
    ratio = own.std() * np.sqrt(252) / truth["volatility"]
    assert ratio.sub(1).abs().max() < 0.1
    assert ratio.mean() == pytest.approx(1.0, abs=0.01)


def ljung_box(values: pd.Series) -> float:
    """p value of the squares at 10 lags."""
    from statsmodels.stats.diagnostic import acorr_ljungbox

    squares = (values - values.mean()) ** 2
    return float(acorr_ljungbox(squares, lags=[10])["lb_pvalue"].iloc[0])


def test_volatility_clusters_and_does_not_where_switched_off() -> None:
    market = replace(WHOLE, rows=3000).load()
    calm = replace(WHOLE, rows=3000, persistence=0.0, tail=None).load()
    assert ljung_box(market.index_close.pct_change().dropna()) < 1e-6
    assert ljung_box(market.returns()["S0001"].dropna()) < 1e-3
    assert ljung_box(calm.index_close.pct_change().dropna()) > 0.01


@pytest.mark.parametrize("premium", [0.0, 0.0005, -0.001])
def test_fama_macbeth_finds_the_premium_of_the_signal(premium: float) -> None:
    market = Simulated(assets=200, rows=1500, signal_premium=premium, gaps=0.01).load()
    mean, error = fama_macbeth(market)
    assert abs(mean - premium) < 4 * error
    assert premium == 0.0 or abs(mean) > 4 * error


def test_the_premium_is_paid_on_the_row_after_the_signal() -> None:
    null, paid = WHOLE.load(), replace(WHOLE, signal_premium=0.01).load()
    gain = paid.returns() - null.returns()
    expected = 0.01 * null.get("signal").shift(1)
    np.testing.assert_allclose(gain.iloc[1:], expected.iloc[1:], atol=1e-9)
    np.testing.assert_array_equal(paid.get("close").iloc[0], null.get("close").iloc[0])


def test_a_true_null_rejects_as_often_as_its_level() -> None:
    def t_stat(seed: int) -> float:
        mean, error = fama_macbeth(Simulated(assets=40, rows=120, seed=seed).load())
        return mean / error

    rejected = np.mean([abs(t_stat(seed)) > 1.96 for seed in range(120)])
    assert rejected < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 120)


def test_the_signal_persists_with_variance_one() -> None:
    signal = Simulated(assets=200, rows=2000, churn=0.0).load().get("signal").to_numpy()
    assert signal.std() == pytest.approx(1.0, abs=0.03)
    assert np.corrcoef(signal[1:].ravel(), signal[:-1].ravel())[0, 1] == pytest.approx(
        0.95, abs=0.01
    )


def test_volume_persists_and_rises_with_large_returns() -> None:
    market = replace(WHOLE, rows=2000).load()
    log, size = np.log(market.get("volume")), market.returns().abs()
    within = log - log.mean()
    assert within.corrwith(size).min() > 0.1
    assert min(log[name].autocorr() for name in log) > 0.5


def test_market_cap_is_shares_times_close() -> None:
    market, truth = SMALL.load(), SMALL.truth()
    np.testing.assert_allclose(market.get("market_cap"), market.get("close") * truth["shares"])


def test_macro_series_go_against_the_market_and_foretell_nothing() -> None:
    macro = {"vix": "^VIX", "dxy": "DX-Y.NYB"}
    market = replace(WHOLE, macro=macro, rows=4000).load()
    assert list(market.series) == list(macro)
    assert market.series.gt(0).all(axis=None)
    change, index = np.log(market.series).diff(), market.index_close.pct_change()
    assert change.corrwith(index).sub(-0.6).abs().max() < 0.06
    assert change.shift(1).corrwith(index).abs().max() < 0.08
    assert change["vix"].corr(change["dxy"]) == pytest.approx(0.36, abs=0.06)
    assert np.log(market.series).mean().sub(np.log(20)).abs().max() < 1.0


def test_a_macro_series_depends_on_its_ticker_alone() -> None:
    one = replace(SMALL, macro={"vix": "^VIX"}).load().series["vix"]
    two = replace(SMALL, macro={"tlt": "TLT", "fear": "^VIX"}).load().series
    np.testing.assert_array_equal(one, two["fear"])
    assert not np.allclose(one, two["tlt"])


def test_assets_by_name_have_the_numbers_of_their_positions() -> None:
    named = replace(SMALL, assets=["AAPL", "MSFT", "AMZN"], market="SPY").load()
    assert named.assets == ["AAPL", "MSFT", "AMZN"]
    assert named.index_close.name == "SPY"
    np.testing.assert_array_equal(named.get("close"), SMALL.load().get("close").iloc[:, :3])


def test_the_market_asset_among_the_assets_is_the_market() -> None:
    source = Simulated(
        assets=["AAPL", "SPY"], market="SPY", rows=300, churn=1.0, gaps=0.2, signal_premium=0.01
    )
    market, truth = source.load(), source.truth()
    np.testing.assert_allclose(market.get("close")["SPY"], market.index_close, rtol=1e-12)
    assert truth.loc["SPY", ["alpha", "beta", "premium", "volatility"]].tolist() == [
        0.0,
        1.0,
        0.0,
        0.0,
    ]


def test_no_market_and_a_single_asset_and_a_single_row() -> None:
    market = Simulated(assets=1, market=None, rows=1, churn=1.0).load()
    assert market.market_close is None
    assert market.get("close").notna().all(axis=None)
    assert market.series.shape == (1, 0)
    assert len(market.fingerprint) == 32


def test_an_end_replaces_the_number_of_rows() -> None:
    with pytest.raises(
        ValueError,
        match=r"^rows: given 3 beside end=2020-01-10; allowed: one of the two, the other null$",
    ):
        Simulated(start="2020-01-04", end="2020-01-10", rows=3)
    assert len(Simulated(start="2020-01-04").load().dates) == 1000
    dates = Simulated(start="2020-01-04", end="2020-01-10").load().dates
    assert [f"{day:%m-%d}" for day in dates] == ["01-06", "01-07", "01-08", "01-09", "01-10"]
    assert len(Simulated(start="2020-01-04", rows=3).load().dates) == 3


def test_rows_beside_the_end_of_an_experiment_are_refused_in_one_line() -> None:
    words = ["experiment=capm", "data=simulated", "data.rows=300"]
    with pytest.raises(SpecError) as caught:
        Composer().job(words)
    assert caught.value.mistakes == (
        "data.rows: given 300 beside end=2025-05-15; allowed: one of the two, the other null",
    )
    source = Composer().job([*words, "data.end=null"]).experiment.source.whole
    assert (source.rows, source.end) == (300, None)
    assert Composer().job(words[:2]).experiment.source.whole.rows is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"assets": ["A", "B", "A"]}, "data.assets: more than once: A"),
        ({"assets": []}, "data.assets: none"),
        ({"assets": ["TLT"], "macro": {"tlt": "TLT"}}, "data.macro.tlt: 'TLT' is an asset too"),
        ({"macro": {"spx": "MKT"}}, "data.macro.spx: 'MKT' is an asset too"),
        ({"rows": 10**12}, "allowed: 1678-01-01..2261-12-31"),
        ({"rows": None, "end": "2014-01-01"}, "holds no business day"),
    ],
)
def test_what_cannot_be_simulated_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(SMALL, **change).load()  # type: ignore[arg-type]


def test_a_larger_panel_is_quick() -> None:
    start = time.perf_counter()
    market = Simulated(assets=300, rows=2000).load()
    assert market.get("close").shape == (2000, 300)
    assert time.perf_counter() - start < 5
