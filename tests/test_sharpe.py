"""Sharpe ratios and their bootstraps against arch itself, closed forms, and a truth that is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import IIDBootstrap, StationaryBootstrap, optimal_block_length
from oracles import panel_of

from runner.analyses.strategies.sharpe import (
    IID,
    LO,
    STATIONARY,
    intervals,
    lo_error,
    sharpe,
    sharpe_ratio,
)
from runner.errors import DataError
from runner.sinks.drawings import DRAWINGS

REL = 1e-10  # two sums of some hundred float64 in another order
MEAN, STD = 0.007, 0.055
DIGIT = 0.5e-5  # of the known answers, which have five decimals


def returns(n: int, seed: int = 0, phi: float = 0.0, mean: float = MEAN) -> np.ndarray:
    """AR(1) returns with the standard deviation STD, from their stationary distribution."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    for t in range(1, n):
        x[t] = phi * x[t - 1] + np.sqrt(1 - phi**2) * x[t]
    return mean + STD * x


def study_of(
    y: np.ndarray, horizon: int = 0, every: str = "ME", **settings: object
) -> SimpleNamespace:
    panel = panel_of(y, np.empty((*y.shape, 0)), horizon)
    dates = pd.date_range("2000-01-31", periods=len(y), freq=every)
    object.__setattr__(panel, "dates", dates)
    return SimpleNamespace(panel=panel, settings={"risk_free": "RF", **settings})


def by_method(found: list) -> dict:
    return {one.method: one for one in found}


def with_arch(bootstrap: IIDBootstrap, draws: int, confidence: float) -> tuple[float, float, float]:
    """What arch's own functions make of the ratio: lower and upper percentile, and the standard error."""

    def ratio(x: np.ndarray) -> np.ndarray:
        return np.array([x.mean() / x.std(ddof=1)])

    low, high = bootstrap.conf_int(ratio, draws, method="percentile", size=confidence)[:, 0]
    bootstrap.reset()
    return low, high, float(np.sqrt(bootstrap.cov(ratio, draws)[0, 0]))


def test_the_ratio_of_a_known_mean_and_standard_deviation() -> None:
    """Two returns m -+ s / sqrt(2) have the mean m and, with ddof 1, the standard deviation s."""
    x = MEAN + STD * np.array([-1.0, 1.0]) / np.sqrt(2.0)
    table = sharpe(study_of(x[:, None]), draws=10).table
    assert table["sharpe"].iloc[0] == pytest.approx(0.12727, abs=DIGIT)
    assert table["sharpe_annual"].iloc[0] == pytest.approx(0.44089, abs=DIGIT)


def test_lo_is_the_formula_and_its_interval_is_normal() -> None:
    x, z = returns(300), 1.6448536269514722  # the 95th percentile of a normal
    ratio = x.mean() / x.std(ddof=1)
    one = by_method(intervals(x, 10, None, 0, 0.9))[LO]
    error = np.sqrt((1 + 0.5 * ratio**2) / 300)
    assert one.std_error == pytest.approx(error, rel=REL)
    assert (one.ci_low, one.ci_high) == pytest.approx(
        (ratio - z * error, ratio + z * error), rel=REL
    )
    assert one.q75 - one.q25 == pytest.approx(2 * 0.6744897501960817 * error, rel=REL)


@pytest.mark.parametrize("seed", [0, 7])
def test_bootstraps_are_those_of_arch_with_the_same_seed(seed: int) -> None:
    x = returns(240, seed=3, phi=0.4)
    block = float(optimal_block_length(x)["stationary"].iloc[0])
    assert block > 2.0
    found = by_method(intervals(x, 400, None, seed, 0.9))
    for method, bootstrap in {
        IID: IIDBootstrap(x, seed=seed),
        STATIONARY: StationaryBootstrap(block, x, seed=seed),
    }.items():
        one = found[method]
        expected = with_arch(bootstrap, 400, 0.9)
        assert (one.ci_low, one.ci_high, one.std_error) == pytest.approx(expected, rel=REL)
        assert one.ci_low < one.q25 < one.sharpe < one.q75 < one.ci_high
    assert found[STATIONARY].block == pytest.approx(block, rel=REL)
    assert found[IID].block == 1.0


def test_given_blocks_are_used_and_blocks_of_one_row_are_independent_draws() -> None:
    x = returns(120, seed=2, phi=0.3)
    six = by_method(intervals(x, 300, 6, 1, 0.95))[STATIONARY]
    low, high, error = with_arch(StationaryBootstrap(6, x, seed=1), 300, 0.95)
    assert (six.ci_low, six.ci_high, six.std_error) == pytest.approx((low, high, error), rel=REL)
    white = returns(400, seed=11)
    assert by_method(intervals(white, 50, None, 1, 0.95))[STATIONARY].block >= 1.0


def test_an_asset_has_the_same_bits_whatever_stands_beside_it() -> None:
    y = np.column_stack([returns(90, seed) for seed in range(3)])
    alone = sharpe(study_of(y[:, [1]]), draws=200, seed=4).table.drop(columns="unit")
    beside = sharpe(study_of(y), draws=200, seed=4).table
    beside = beside[beside["unit"] == "A1"].drop(columns="unit").reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, beside, check_exact=True)
    other = sharpe(study_of(y[:, [1]]), draws=200, seed=5).table
    assert (other["ci_low"] != alone["ci_low"]).tolist() == [False, True, True]


@pytest.mark.parametrize("scale", [2.0**-900, 1e-200, 1e-9, 1e9, 1e200])
def test_the_ratio_has_no_scale(scale: float) -> None:
    x = returns(60)
    plain, scaled = (intervals(one, 50, 3, 0, 0.95) for one in (x, x * scale))
    for a, b in zip(plain, scaled, strict=True):
        assert b[1:9] == pytest.approx(a[1:9], rel=REL, nan_ok=True)


def test_missing_cells_leave_each_asset_its_own_rows() -> None:
    y = np.column_stack([returns(80, 1), returns(80, 2)])
    y[[3, 40, 41], 0] = np.nan
    found = sharpe(study_of(y), draws=100, block=4)
    own = by_method(intervals(y[np.isfinite(y[:, 0]), 0], 100, 4, 0, 0.95))
    rows = found.table[found.table["unit"] == "A0"].set_index("method")
    assert rows["n_obs"].tolist() == [77] * 3 and rows["missing"].tolist() == [3] * 3
    assert rows["ci_high"].tolist() == [own[method].ci_high for method in rows.index]
    assert "3 missing cells left out: blocks run over them." in found.words


@pytest.mark.parametrize(
    ("x", "block", "reason"),
    [
        (np.full(50, 0.3), None, "the target does not vary"),
        (np.zeros(50), None, "the target does not vary"),
        (np.array([0.1]), None, "1 row; a standard deviation needs two"),
        (np.array([]), None, "0 rows; a standard deviation needs two"),
        (returns(19), None, "19 rows; a block length needs 20, or is given"),
        (returns(60), 21, "blocks of 21 rows are more than a third of 60"),
        (np.array([0.1, 0.2]), 1, " of 200 draws no row differs"),
    ],
)
def test_where_there_is_no_interval_there_is_a_reason(
    x: np.ndarray, block: int | None, reason: str
) -> None:
    one = by_method(intervals(x, 200, block, 0, 0.95))[STATIONARY]
    assert one.reason.endswith(reason)
    assert np.isnan([one.std_error, one.ci_low, one.ci_high]).all() and one.draws == 0


def test_a_third_of_the_rows_is_a_block_and_twenty_rows_choose_one() -> None:
    assert by_method(intervals(returns(60), 50, 20, 0, 0.95))[STATIONARY].reason == ""
    assert by_method(intervals(returns(20), 50, None, 0, 0.95))[STATIONARY].reason == ""


def test_assets_without_an_interval_are_named_and_the_others_are_told() -> None:
    y = np.column_stack([returns(80, 1), np.full(80, 0.01)])
    found = sharpe(study_of(y), draws=100)
    assert "No interval of blocks for A1: the target does not vary." in found.words
    assert found.words[0].startswith("The Sharpe ratio of A0 is ")
    assert found.metrics["sharpe"] == pytest.approx(sharpe_ratio(y[:, 0]), rel=REL)
    assert DRAWINGS[found.picture](found.table) is not None
    nothing = sharpe(study_of(y[:, [1]]), draws=100)
    assert DRAWINGS[nothing.picture](nothing.table) is None


@pytest.mark.parametrize(
    ("mean", "says"), [(0.05, "excludes"), (0.0, "includes"), (-0.05, "excludes")]
)
def test_words_say_of_one_asset_whether_the_interval_excludes_zero(mean: float, says: str) -> None:
    found = sharpe(study_of(returns(200, 5, mean=mean)[:, None]), draws=500)
    row = found.table.set_index("method").loc[STATIONARY]
    assert (row["ci_low"] > 0 or row["ci_high"] < 0) == (says == "excludes")
    assert f"{says} zero." in found.words[0]
    assert found.metrics["above_zero"] == (mean > 0) and found.metrics["below_zero"] == (mean < 0)


def test_words_count_the_assets_and_the_chance() -> None:
    y = np.column_stack(
        [returns(100, seed, mean=0.04 * (seed < 3) - 0.04 * (seed == 3)) for seed in range(22)]
    )
    found = sharpe(study_of(y), draws=200)
    above, below = found.metrics["above_zero"], found.metrics["below_zero"]
    assert above >= 3 and below >= 1
    seen = f"excludes zero in {above + below} of 22 assets ({above} above it, {below} below), where chance alone"
    assert seen in found.words[0]
    blocks = found.table[found.table["method"] == STATIONARY]
    assert found.metrics["block"] == pytest.approx(blocks["block"].mean(), rel=REL)
    assert found.metrics["sharpe_annual"] == pytest.approx(
        blocks["sharpe"].mean() * np.sqrt(12), rel=REL
    )


def test_words_warn_of_what_the_ratio_is_not() -> None:
    daily = sharpe(study_of(returns(300)[:, None], every="B", risk_free=None), draws=50).words
    assert any(
        "annualised with 252 rows a year (daily calendar), by its root" in line for line in daily
    )
    assert any("No risk-free rate" in line for line in daily)
    monthly = sharpe(study_of(returns(300)[:, None]), draws=50).words
    assert any(
        "annualised with 12 rows a year (monthly calendar), by its root" in line for line in monthly
    )
    assert not any("risk-free" in line for line in monthly)


def test_overlapping_targets_are_refused() -> None:
    assert len(sharpe(study_of(returns(40)[:, None], horizon=1), draws=20).table) == 3
    with pytest.raises(DataError, match="2 rows, which overlap; allowed: 0 or 1"):
        sharpe(study_of(returns(40)[:, None], horizon=2))


@pytest.mark.parametrize("assets", [1, 8, 33])
def test_the_picture_draws_few_and_many(assets: int) -> None:
    y = np.column_stack([returns(40, seed) for seed in range(assets)])
    found = sharpe(study_of(y), draws=20)
    figure = DRAWINGS[found.picture](found.table)
    [axes] = figure.axes
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert ("A0" in labels) == (assets <= 30)


def test_the_experiment_on_the_french_data(cli) -> None:
    run = cli("experiment=sharpe", "analyses.sharpe.draws=300")
    assert run.code == 0, run.err
    table = run.table("sharpe")
    assert len(table) == 27 and set(table["method"]) == {LO, IID, STATIONARY}
    means = run.table("coefficients")
    assert list(means[means["scope"] == "asset"]["term"].unique()) == ["const"]
    quality = run.table("quality").set_index("unit")
    const = means[means["scope"] == "asset"].set_index("unit")["estimate"]
    ours = table[table["method"] == LO].set_index("unit")["sharpe"]
    # Of a constant alone the estimate is the mean and the spread of the residuals is the standard deviation.
    np.testing.assert_allclose(ours, const / quality.loc[ours.index, "residual_std"], rtol=REL)
    assert run.metrics["sharpe/sharpe_annual"] == pytest.approx(ours.mean() * np.sqrt(12), rel=REL)
    assert (run.directory / "plots" / "sharpe.png").exists()
    assert "Sharpe ratios a year are from" in run.out


def test_the_experiment_on_simulated_prices_and_its_mistakes(cli) -> None:
    simulated = ("experiment=sharpe", "data=simulated", "data.assets=2", "target.risk_free=null")
    run = cli(
        *simulated,
        "data.rows=300",
        "analyses.sharpe.rows_per_year=252",
        "analyses.sharpe.draws=100",
        "report=tables",
        "--full",
    )
    assert run.code == 0, run.err
    assert "annualised with 252 rows a year (daily calendar)" in " ".join(run.out.split())
    off = cli(*simulated, "data.rows=300", "analyses.sharpe.rows_per_year=12")
    assert off.code == 2
    assert off.errors == [
        "error: analyses.sharpe.rows_per_year: given 12; the daily calendar has 252 rows a year; allowed: 239.4 to "
        "264.6, or null for the calendar's own; use ++analyses.sharpe.rows_per_year=null"
    ]
    wrong = cli(
        *simulated,
        "analyses.sharpe.draws=0",
        "analyses.sharpe.block=0.5",
        "analyses.sharpe.confidence=95",
    )
    assert wrong.code == 2
    assert [line.split(":")[1].strip() for line in wrong.errors] == [
        f"analyses.sharpe.{name}" for name in ("draws", "block", "confidence")
    ]
    ahead = cli(
        *simulated,
        "target=forward_return",
        "target.horizon=5",
        "target.risk_free=null",
        "data.rows=100",
    )
    assert ahead.code == 2
    assert ahead.errors == [
        "error: analyses.sharpe: target.horizon: 5 rows, which overlap; allowed: 0 or 1, then annualised"
    ]


@pytest.mark.slow
def test_coverage_on_serially_correlated_returns() -> None:
    """True ratio .2, AR(1) of .3, 400 rows: independent draws cover too seldom, blocks nearly as often as said."""
    truth, samples, draws = 0.2, 500, 400
    covered = dict.fromkeys((LO, IID, STATIONARY), 0)
    for seed in range(samples):
        for one in intervals(
            returns(400, seed, phi=0.3, mean=truth * STD), draws, None, seed, 0.95
        ):
            covered[one.method] += one.ci_low <= truth <= one.ci_high
    share = {method: hits / samples for method, hits in covered.items()}
    print(share)
    # The ratio's error is sqrt((1 + .3) / (1 - .3)) = 1.36 times that of independent rows: 85 % instead of 95 %.
    # Within three standard errors of 500 samples (.016); blocks of a few rows leave some of it, hence .90.
    assert share[LO] == pytest.approx(0.85, abs=0.048)
    assert share[IID] == pytest.approx(0.85, abs=0.048)
    assert 0.90 < share[STATIONARY] < 0.98


@pytest.mark.slow
def test_lo_is_the_spread_of_ratios_of_normal_returns() -> None:
    truth, n = 0.5, 250
    x = np.random.default_rng(0).normal(truth, 1.0, size=(20_000, n))
    spread = (x.mean(axis=1) / x.std(axis=1, ddof=1)).std()
    assert lo_error(truth, n) == pytest.approx(
        spread, rel=0.02
    )  # 20,000 samples leave .5 %, order 1 / n the rest
