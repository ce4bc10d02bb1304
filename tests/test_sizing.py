"""Positions sized by volatility, against a loop over dates and assets."""

from __future__ import annotations

import numpy as np
import pytest

from runner.analyses.strategies.books import Bounds, legs, sized
from runner.cli.composition import Composer
from runner.errors import DataError
from runner.experiment.run import run
from runner.record.rundir import RunDirectory
from runner.sinks.canvas import style
from runner.sinks.drawings import DRAWINGS
from runner.sinks.files import write
from runner.sweeps.comparison.tested import (
    tested as left_behind,  # pytest collects names that begin with test
)
from runner.trials.trial import Bar
from runner.trials.verdict import judge

CLOSE = 1e-10  # relative: sums of a thousand products, in another order
WORDS = [
    "experiment=vol_sizing",
    "data.assets=12",
    "data.sectors=3",
    "data.rows=420",
    "data.churn=0",
    "audit=off",
]
WORDS += [
    "validation.first=229",
    "validation.window=100",
    "validation.test=40",
    "analyses.sizing.most=0.2",
]


@pytest.fixture(scope="module")
def report():
    return run(Composer().job([*WORDS, "analyses.sizing.hold=13"]).experiment)


def by_loop(report, sizing_name: str, leg: str, hold: int = 13) -> tuple[list[float], list[float]]:
    """Returns and turnover of each row, asset by asset."""
    market = Composer().job(WORDS).experiment.source.load()
    close, predictions = market.fields["close"], report.predictions.set_index(["date", "asset"])
    r, dates = close / close.shift(1) - 1.0, sorted(report.predictions["date"].unique())
    momentum, rolling = close / close.shift(126) - 1.0, (252 / 21 * (r**2).rolling(21).sum()) ** 0.5
    returns, turnover, weights = [], [], dict.fromkeys(close.columns, 0.0)
    for k, date in enumerate(dates):
        traded = 0.0
        if k % hold == 0:
            before, order = weights, momentum.loc[date].sort_values()
            n = len(order)
            ends = {name: -1.0 for i, name in enumerate(order.index) if (i + 0.5) / n < 0.3}
            ends |= {name: 1.0 for i, name in enumerate(order.index) if (n - i - 0.5) / n < 0.3}
            sides = [sum(one == side for one in ends.values()) for side in (1.0, -1.0)]
            weights = dict.fromkeys(close.columns, 0.0)
            for name, side in ends.items():
                sigma = {
                    "rolling": rolling.loc[date, name],
                    "forecast": predictions.loc[(date, name), "prediction"],
                    "foresight": predictions.loc[(date, name), "y"],
                }.get(sizing_name)
                scale = 1.0 if sigma is None else min(0.2 / sigma, 3.0)
                weights[name] = side * min(scale / sides[0 if side > 0 else 1], 0.2)
            for side in (1.0, -1.0):
                size = sum(abs(w) for w in weights.values() if w * side > 0.0)
                weights = {
                    a: w / max(size, 1.0) if w * side > 0.0 else w for a, w in weights.items()
                }
            if leg != "both":
                weights = {
                    a: w if w * (1.0 if leg == "long" else -1.0) > 0.0 else 0.0
                    for a, w in weights.items()
                }
            traded = sum(abs(weights[a] - before[a]) for a in weights)
        ahead = r.iloc[r.index.get_loc(date) + 1]
        returns.append(sum(weights[a] * ahead[a] for a in weights))
        turnover.append(traded)
    return returns, turnover


@pytest.mark.parametrize("name", ["unsized", "rolling", "forecast", "foresight"])
@pytest.mark.parametrize("leg", ["long", "short", "both"])
def test_returns_costs_and_wealth_are_those_of_a_loop(report, name: str, leg: str) -> None:
    returns, turnover = by_loop(report, name, leg)
    net = np.array(returns) - 0.0005 * np.array(turnover)
    table, paths = report.findings["sizing"].table, report.findings["sizing_wealth"].table
    row = table[(table["sizing"] == name) & (table["leg"] == leg)].iloc[0]
    wealth = np.append(1.0, np.cumprod(1.0 + net))
    drawdown = np.max(1.0 - wealth / np.maximum.accumulate(wealth))
    root = np.sqrt(252)
    expected = {
        "n_obs": len(net),
        "mean": np.mean(returns) * 252,
        "volatility": np.std(returns, ddof=1) * root,
        "sharpe": np.mean(returns) / np.std(returns, ddof=1) * root,
        "sharpe_net": np.mean(net) / np.std(net, ddof=1) * root,
        "mean_net": np.mean(net) * 252,
        "turnover": np.mean(turnover) * 252,
        "max_drawdown": drawdown,
    }
    np.testing.assert_allclose(
        row[list(expected)].astype(float), list(expected.values()), rtol=CLOSE
    )
    assert report.metrics[f"sizing/sharpe_{name}_{leg}"] == row["sharpe_net"]
    path = paths[(paths["sizing"] == name) & (paths["leg"] == leg)]
    np.testing.assert_allclose(path["wealth"], wealth, rtol=CLOSE)
    assert (
        path["date"].is_monotonic_increasing
        and path["date"].iloc[0] == report.predictions["date"].min()
    )


def test_a_name_and_a_leg_have_their_bounds() -> None:
    alpha = np.array([[0.25, 0.25, 0.25, 0.25, -0.5, -0.5]])
    sigma = np.array([[0.1, 0.2, 0.01, -1.0, 0.4, np.nan]])
    found = sized(alpha, sigma, Bounds(target=0.2, cap=3.0, most=0.6, gross=1.0))
    raw = np.array(
        [0.5, 0.25, 0.6, 0.6]
    )  # doubled, as it is, two at the cap and then at the most of a name
    np.testing.assert_allclose(found[0, :4], raw / raw.sum(), rtol=CLOSE)
    short = np.array([0.25, 0.6])
    np.testing.assert_allclose(found[0, 4:], -short, rtol=CLOSE)  # adds up to less than 1: as it is
    assert sized(alpha, None, Bounds(0.2, 3.0, 0.05, 1.0)).tolist() == [[0.05] * 4 + [-0.05] * 2]


def bounded(report) -> list[str]:
    """What is said of the bounds."""
    words = report.findings["sizing"].words
    return [line for line in words if "Share of positions" in line or "bounds" in line]


def test_where_the_bounds_bind_is_counted_and_said(report) -> None:
    """Against the scale of each position by hand: 0.9 over the forecast, at most 3."""
    table = report.findings["sizing"].table.set_index(["sizing", "leg"])
    assert table.loc["unsized", "at_cap"].tolist() == [0.0, 0.0, 0.0]
    low = run(
        Composer()
        .job([*WORDS, "analyses.sizing.target=0.9", "analyses.sizing.most=1.0"])
        .experiment
    )
    table = low.findings["sizing"].table.set_index(["sizing", "leg"])
    predictions = low.predictions.pivot(index="date", columns="asset", values="prediction").astype(
        float
    )
    order = (
        Composer()
        .job(WORDS)
        .experiment.source.load()
        .fields["close"]
        .pct_change(126, fill_method=None)
    )
    at = held = 0
    for date in predictions.index[::21]:
        rank = order.loc[date, predictions.columns].rank()
        for name, place in ((rank - 0.5) / len(rank)).items():
            if place < 0.3 or place > 0.7:
                held += 1
                at += 0.9 / predictions.loc[date, name] >= 3.0
    assert 0 < at < held
    assert table.loc[("forecast", "both"), "at_cap"] == pytest.approx(at / held, rel=CLOSE)
    assert bounded(low)[0].startswith(
        f"Share of positions at which the cap of 3 binds: {at / held:.1%}"[:-1]
    )
    assert len(bounded(low)) == 2


@pytest.mark.parametrize("bound", ["analyses.sizing.target=50.0", "analyses.sizing.most=0.001"])
def test_a_comparison_of_portfolios_that_are_the_same_says_so(bound: str) -> None:
    """The cap, or the bound of a name, holds every position: the forecast does not enter the weights."""
    made = run(Composer().job([*WORDS, bound]).experiment)
    ratios = made.findings["sizing"].table.query("sizing != 'unsized' and leg == 'both'")[
        "sharpe_net"
    ]
    assert ratios.nunique() == 1
    said = "their comparison says nothing about the forecasts."
    assert bounded(made)[-1].startswith("The bounds bind at every position") and bounded(made)[
        -1
    ].endswith(said)


def test_ties_are_on_one_side_or_on_none() -> None:
    use = np.ones((3, 4), dtype=bool)
    use[2, 0] = False
    found = legs(
        np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 3.0], [9.0, 1.0, 2.0, 3.0]]), use, 0.3
    )
    assert found[0].tolist() == [0.0] * 4
    assert found[1].tolist() == [-1.0, 0.0, 0.5, 0.5]
    assert found[2].tolist() == [0.0, -1.0, 0.0, 1.0]


def test_what_cannot_be_sized_is_refused_in_one_line() -> None:
    words = [
        "experiment=vol_sizing",
        "data.assets=6",
        "data.rows=300",
        "validation=none",
        "audit=off",
    ]
    for more, reason in (
        (
            ["target=forward_return"],
            "analyses.sizing: positions are sized by a volatility ahead; given return; "
            "allowed: target=forward_volatility",
        ),
        (
            ['analyses.sizing.signal="average(ret)"'],
            "signal: 'average(ret)' is the same for every asset",
        ),
        (['analyses.sizing.signal="lag(ret, 299)"'], "no asset to hold"),
    ):
        with pytest.raises(DataError) as error:
            run(Composer().job([*words, *more]).experiment)
        assert reason in error.value.mistakes[0]


def test_words_tell_what_foresight_is_and_the_picture_is_drawn(report) -> None:
    words = report.findings["sizing"].words
    assert "The differences were not tested." in words[0]
    assert words[1].startswith("Foresight is no strategy")
    with style():
        figure = DRAWINGS["sizing_wealth"](report.findings["sizing_wealth"].table)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Long leg",
        "Short leg",
        "Both legs",
    ]
    assert [len(axes.lines) for axes in figure.axes] == [5, 5, 5]


def test_a_sweep_judges_the_wealth_of_the_sizing_by_forecasts(report, tmp_path) -> None:
    write(report, tmp_path)
    job = left_behind("one", RunDirectory(tmp_path), with_forecasts=False)
    wealth = report.findings["sizing"].wealth
    assert set(job.strategies) == {"sizing", "sizing_wealth"}
    for returns in job.strategies.values():
        np.testing.assert_allclose(returns, wealth.pct_change().dropna(), rtol=CLOSE)
    found = judge([job], Bar(draws=99))
    table = found.strategies.set_index("strategy")
    expected = wealth.pct_change().dropna()
    assert table.loc["sizing", "sharpe"] == pytest.approx(
        expected.mean() / expected.std(), rel=CLOSE
    )
    assert table.loc["sizing_wealth", "reason"] == "the returns of job one (sizing), counted once"
