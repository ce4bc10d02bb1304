"""On prices that nothing foretells no one is told of skill: 200 draws (slow; figures with -s -n 0)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runner.data.sources.simulation.simulated import Simulated
from runner.experiment.run import run
from runner.experiment.settings import Settings
from runner.experiment.spec import Experiment
from runner.features.functions import momentum, volatility
from runner.models.regression import Regression
from runner.targets import forward_return
from runner.validation.splitters import HoldOut, WalkForward

DRAWS = 200
ERROR = 1.96 * np.sqrt(0.05 * 0.95 / DRAWS)  # of a share of 5 %: three points


def signal(market: Any) -> Any:
    return market.get("signal")


def drawn(seed: int, model: Regression, splitter: Any, horizon: int) -> dict[str, float]:
    """Pooled scores of one true null; no drift, so that zero and the train mean are both right."""
    source = Simulated(assets=12, rows=420, seed=seed, market_premium=0.0, churn=0.0, market=None)
    features = {
        "signal": signal,
        "mom": lambda market: momentum(market, window=21),
        "vol": lambda market: volatility(market, window=21),
    }
    target = lambda market: forward_return(market, horizon=horizon)  # noqa: E731
    settings = Settings("null", audit="off")
    report = run(Experiment(settings, source, features, target, model, splitter, {}))
    row = report.scores[report.scores["scope"] == "pooled"].iloc[0]
    return {
        name: float(row[name])
        for name in ("r2", "r2_zero", "dm_stat", "dm_p_value", "cw_p_value", "rank_ic_p_value")
    }


@pytest.mark.slow
@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize(
    ("model", "splitter"),
    [(Regression(), HoldOut(rows=120)), (Regression(by="date"), WalkForward(first=200, test=40))],
    ids=["by asset, hold-out", "by date, walk-forward"],
)
def test_no_skill_is_found_where_there_is_none(
    model: Regression, splitter: Any, horizon: int
) -> None:
    found = [drawn(seed, model, splitter, horizon) for seed in range(DRAWS)]
    of = {name: np.array([one[name] for one in found]) for name in found[0]}
    better = (of["dm_p_value"] < 0.05) & (of["dm_stat"] > 0) & (of["r2"] > 0)
    share = {
        "R2 above zero": np.mean(of["r2"] > 0),
        "better by Diebold-Mariano": np.mean(better),
        "better by Clark-West": np.mean(of["cw_p_value"] < 0.05),
        "rank IC": np.mean(of["rank_ic_p_value"] < 0.05),
    }
    print(
        f"\nhorizon {horizon}: R2 {of['r2'].mean():.4f} (5 % to 95 %: {np.quantile(of['r2'], [0.05, 0.95]).round(4)})"
    )
    print("   ".join(f"{name} {100 * value:.1f} %" for name, value in share.items()))
    print(f"R2 against zero {of['r2_zero'].mean():.4f}")
    assert of["r2_zero"].mean() < 0.0
    if (
        model.by == "asset"
    ):  # one line for all assets is less noisy than a mean of each, with no skill at all
        assert of["r2"].mean() < 0.0
        assert share["better by Diebold-Mariano"] < 0.05
    assert share["rank IC"] < 0.05 + ERROR + 0.01
