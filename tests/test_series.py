"""Scores and coefficients over years and folds: equal to the scores of each year's rows alone, few, finite, named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.experiment.series import MOST_SERIES, MOST_STEPS, scores_by_year, series_of
from runner.validation.scores import SCORES, sample_of

SUMS = 1e-12  # relative; sums of a few hundred terms in another order


def forecasts(years: int, assets: int = 4, paths: int = 1, seed: int = 0) -> pd.DataFrame:
    """Monthly forecasts of assets over years, each row on every path."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("1990-01-31", periods=12 * years, freq="ME")
    parts = []
    for path in range(1, paths + 1):
        table = pd.MultiIndex.from_product(
            [dates, [f"A{i}" for i in range(assets)]], names=["date", "asset"]
        ).to_frame(index=False)
        y = rng.normal(size=len(table))
        parts.append(
            table.assign(
                path=path,
                fold="f",
                y=y,
                prediction=0.3 * y + rng.normal(size=len(y)),
                benchmark=0.1,
            )
        )
    return pd.concat(parts, ignore_index=True)


def report(predictions: pd.DataFrame, **parts: Any) -> Any:
    """What a series is made of, without a run."""
    none = pd.DataFrame({"scope": [], "unit": [], "term": [], "estimate": []})
    given = {
        "predictions": predictions,
        "scores": pd.DataFrame(),
        "findings": {},
        "folds": pd.DataFrame(),
    }
    return SimpleNamespace(**given | {"fit": SimpleNamespace(coefficients=none)} | parts)


@pytest.mark.parametrize("assets", [1, 5])
@pytest.mark.parametrize("paths", [1, 3])
def test_scores_of_a_year_are_those_of_its_rows_alone_on_average_over_paths(
    assets: int, paths: int
) -> None:
    table = forecasts(3, assets, paths)
    found = scores_by_year(table)
    assert list(found.index) == [1990, 1991, 1992]
    for year, row in found.iterrows():
        own = table[table["date"].dt.year == year]
        for name in ("r2", "rmse", "rank_ic"):
            each = [SCORES[name](sample_of(part)) for _, part in own.groupby("path")]
            assert row[name] == pytest.approx(np.mean(each), rel=SUMS, nan_ok=True)


def test_a_year_without_a_score_is_left_out_and_nothing_is_infinite() -> None:
    table = forecasts(4)
    table = table[table["date"].dt.year != 1991]
    table.loc[table["date"].dt.year == 1992, "y"] = 0.1  # its benchmark: nothing to explain
    series = series_of(report(table))
    steps = {name: rows["step"].tolist() for name, rows in series.groupby("series")}
    assert steps == {
        "by year/R2": [1990, 1993],
        "by year/RMSE": [1990, 1992, 1993],
        "by year/rank correlation": [1990, 1993],
    }
    assert np.isfinite(series["value"]).all()


def test_at_most_six_series_of_a_hundred_steps_and_a_cut_says_so() -> None:
    days = [f"{year}-06-30" for year in range(1880, 2000)]
    rows = [
        {"scope": "date", "unit": day, "term": term, "estimate": float(at)}
        for at, day in enumerate(days)
        for term in ("const", "x", "y", "z", "w")
    ]
    folds = pd.DataFrame(
        {"scope": "fold", "unit": range(130), "r2": 0.1, "rmse": 1.0, "rank_ic": 0.2}
    )
    fit = SimpleNamespace(coefficients=pd.DataFrame(rows))
    series = series_of(report(forecasts(2), scores=folds, fit=fit))
    sizes = series.groupby("series").size()
    assert len(sizes) == MOST_SERIES and sizes.max() == MOST_STEPS
    assert {"by year/R2", "by year - last 100/coef x", "by year - last 100/coef z"} <= set(
        sizes.index
    )
    last = series[series["series"] == "by year - last 100/coef x"]
    assert last["step"].tolist() == list(range(1900, 2000)) and last["value"].tolist() == list(
        range(20, 120)
    )


def test_coefficients_of_a_year_are_means_over_its_dates() -> None:
    rows = [("1999-01-31", 1.0), ("1999-02-28", 3.0), ("2000-01-31", 7.0)]
    table = pd.DataFrame(
        [{"scope": "date", "unit": day, "term": "x", "estimate": value} for day, value in rows]
    )
    series = series_of(report(pd.DataFrame(), fit=SimpleNamespace(coefficients=table)))
    assert series.to_dict("list") == {
        "series": ["by year/coef x"] * 2,
        "step": [1999, 2000],
        "value": [2.0, 7.0],
    }


def test_folds_are_numbered_and_one_alone_is_no_series() -> None:
    folds = pd.DataFrame(
        {"scope": "fold", "unit": ["a", "b"], "r2": [0.1, 0.2], "rmse": 1.0, "rank_ic": np.nan}
    )
    series = series_of(report(pd.DataFrame(), scores=folds))
    assert set(series["series"]) == {"by fold/R2", "by fold/RMSE"} and series["step"].tolist() == [
        1,
        2,
        1,
        2,
    ]
    assert series_of(report(forecasts(1))).empty
