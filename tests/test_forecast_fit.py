"""How much forecasts explain: every regression by statsmodels, moments by pandas, and cells without an answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from oracles import close, panel_of, random_arrays
from studies import Foretold

from runner.analyses.forecasts.forecast_fit import forecast_fit, full_sample, past
from runner.errors import DataError
from runner.models.model import Model
from runner.models.moving.rolling import Rolling
from runner.models.study import Study
from runner.panels.finding import Finding
from runner.panels.panel import Panel
from runner.sinks.drawings import DRAWINGS
from runner.validation.folds import Fold

T, N, FIRST, LEAST = 60, 7, 15, 10


class Given(Model):
    """A model whose forecasts are given."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def forecast(self, panel: Panel, fold: Fold) -> np.ndarray:
        return self.values[fold.test]


def study(forecast: np.ndarray, panel: Panel, **more: Any) -> Study:
    """The study of these forecasts (T, N) out of sample, from FIRST on."""
    fold = Fold("1", np.arange(FIRST), np.arange(FIRST, len(panel.dates)), np.empty(0, dtype=int))
    t, i = np.nonzero(
        np.isfinite(forecast) & np.isfinite(panel.y) & (np.arange(len(panel.y)) >= FIRST)[:, None]
    )
    table = {
        "date": panel.dates[t],
        "asset": np.array(panel.assets, dtype=object)[i],
        "fold": "1",
        "path": 1,
    }
    table |= {"y": panel.y[t, i], "prediction": forecast[t, i], "benchmark": 0.0}
    made = {"market": None, "model": Foretold(forecast), "fit": None, "folds": [fold]} | more
    return Study(panel=panel, predictions=pd.DataFrame(table), **made)  # type: ignore[arg-type]


def example(seed: int = 0) -> tuple[Panel, np.ndarray, np.ndarray]:
    """A panel and two forecasts (T, N) of its target, with a few missing cells."""
    y, X = random_arrays(seed, T, N, 2)
    rng = np.random.default_rng(seed)
    first, second = (0.3 * y + rng.normal(size=(T, N)) * (1.0 + np.arange(N)) for _ in range(2))
    first[rng.random((T, N)) < 0.05] = np.nan
    return panel_of(y, X, horizon=1), first, second


def by_statsmodels(columns: list[np.ndarray], y: np.ndarray) -> tuple[float, float, float]:
    """R2, adjusted R2 and the first slope on the cells where all are known."""
    use = np.logical_and.reduce([np.isfinite(one) for one in (*columns, y)])
    fit = sm.OLS(y[use], sm.add_constant(np.column_stack(columns)[use], has_constant="add")).fit()
    return fit.rsquared, fit.rsquared_adj, fit.params[1]


def standard(values: np.ndarray, z: str) -> np.ndarray:
    """By pandas: moments of all rows, or of those before."""
    frame = pd.DataFrame(values)
    if z == "full":
        return ((frame - frame.mean()) / frame.std()).to_numpy()
    return (
        (frame - frame.expanding(LEAST).mean().shift()) / frame.expanding(LEAST).std().shift()
    ).to_numpy()


@pytest.mark.parametrize("z", ["full", "past"])
@pytest.mark.parametrize("name", ["model", "against", "both"])
def test_every_regression_is_that_of_statsmodels(z: str, name: str) -> None:
    panel, first, second = example()
    table = forecast_fit(study(first, panel), against=Given(second), least=LEAST).table
    first[:FIRST], known = np.nan, np.isfinite(first)
    known[:FIRST] = False
    both = [standard(np.where(known, one, np.nan), z) for one in (first, second)]
    columns = {"model": both[:1], "against": both[1:], "both": both}[name]
    for over, units in (("asset", N), ("date", T)):
        part = table[(table["z"] == z) & (table["forecast"] == name) & (table["over"] == over)]
        rows = part[part["unit"] != "all"].reset_index(drop=True)
        assert len(rows) == units
        for u in range(units):
            at = (slice(None), u) if over == "asset" else (u, slice(None))
            if rows.loc[u, "reason"]:
                assert np.isnan(rows.loc[u, "r2"])
                continue
            expected = by_statsmodels([one[at] for one in columns], panel.y[at])
            close(rows.loc[u, ["r2", "r2_adj", "slope"]].astype(float), expected, f"{over} {u}")
        mean = part[part["unit"] == "all"].iloc[0]
        close(
            mean[["r2", "r2_adj", "slope"]].astype(float),
            rows[["r2", "r2_adj", "slope"]].mean(),
            "mean",
        )
        assert mean["units"] == (rows["reason"] == "").sum() > 0
        assert mean["units"] + mean["without"] == units


def test_past_moments_are_those_of_pandas_and_of_nothing_later() -> None:
    _, f, _ = example()
    f = 1e6 + f  # a mean that is large beside the spread
    close(
        past(f, LEAST), standard(f, "past"), "past", rel=1e-8, floor=1e-8
    )  # pandas sums squares as they are
    later = f.copy()
    later[40:] *= 5.0
    np.testing.assert_array_equal(past(later, LEAST)[:40], past(f, LEAST)[:40])
    assert (full_sample(later)[:40] != full_sample(f)[:40])[np.isfinite(f[:40])].all()


def test_past_moments_begin_anew_in_each_session() -> None:
    _, f, _ = example()
    sessions = np.repeat([0, 1], T // 2)
    expected = np.concatenate([past(f[: T // 2], LEAST), past(f[T // 2 :], LEAST)])
    np.testing.assert_array_equal(past(f, LEAST, sessions), expected)
    assert np.isnan(expected[T // 2 : T // 2 + LEAST]).all()


def test_the_literal_adjustment_with_one_regressor_is_r2() -> None:
    panel, first, second = example()
    table = forecast_fit(study(first, panel), against=Given(second), least=LEAST).table
    one = table[table["forecast"] != "both"]
    close(one["r2_adj_literal"], one["r2"], "k = 1")
    both = table[(table["forecast"] == "both") & (table["unit"] != "all") & (table["reason"] == "")]
    close(
        both["r2_adj_literal"],
        1 - (1 - both["r2"]) * (both["n_obs"] - 1) / (both["n_obs"] - 2),
        "k = 2",
    )


def test_per_asset_the_full_sample_changes_nothing_per_date_it_does() -> None:
    panel, first, _ = example()
    table = forecast_fit(study(first, panel), least=LEAST).table
    rows = table[(table["z"] == "full") & (table["unit"] != "all") & (table["reason"] == "")]
    for over, axis in (("asset", 0), ("date", 1)):
        part = rows[rows["over"] == over].reset_index(drop=True)
        known = np.where(np.arange(T)[:, None] >= FIRST, first, np.nan)
        plain = []
        for u in range(known.shape[1 - axis]):
            at = (slice(None), u) if axis == 0 else (u, slice(None))
            if np.isfinite(known[at]).sum() > 2:
                plain.append(by_statsmodels([known[at]], panel.y[at])[0])
        same = np.isclose(part["r2"], plain, rtol=1e-9)
        assert same.all() if over == "asset" else not same.any()


def test_units_without_an_answer_are_counted_with_the_reason() -> None:
    panel, first, second = example()
    first, second = np.nan_to_num(first), second.copy()
    panel.y[:, 0] = 0.7
    first[:, 1] = 0.2
    second[:, 2] = 2.0 * first[:, 2] + 1.0
    first[:, 3] = np.nan
    found = forecast_fit(study(first, panel), against=Given(second), least=LEAST)
    table = found.table[(found.table["over"] == "asset") & (found.table["z"] == "full")]
    reasons = {
        name: part["reason"].tolist()[:4]
        for name, part in table[table["unit"] != "all"].groupby("forecast")
    }
    nothing = "no cell with a standardised forecast"
    assert reasons["model"] == ["the target does not vary", nothing, "", nothing]
    assert reasons["both"] == [
        "the target does not vary",
        nothing,
        "the two forecasts are collinear",
        nothing,
    ]
    means = table[table["unit"] == "all"].set_index("forecast")
    assert means["without"].to_dict() == {"model": 3, "against": 2, "both": 4}
    assert any(
        "1 asset without R2" in line and "the target does not vary" in line for line in found.words
    )


def test_words_and_metrics_say_what_the_table_says() -> None:
    panel, first, _ = example()
    found = forecast_fit(study(first, panel), least=LEAST)
    mean = found.table[(found.table["unit"] == "all") & (found.table["z"] == "past")].set_index(
        "over"
    )
    names = ("asset_r2", "asset_r2_adj", "date_r2", "date_r2_adj")
    assert set(found.metrics) == {f"{z}/model/{name}" for z in ("full", "past") for name in names}
    assert found.metrics["past/model/date_r2_adj"] == mean.loc["date", "r2_adj"]
    assert "z of past moments (honest), the model" in found.words[1]
    assert "constants and slopes of these regressions are not" in " ".join(found.words)


def test_on_noise_the_adjusted_r2_is_zero_on_average() -> None:
    rng = np.random.default_rng(0)
    y, X = rng.normal(size=(400, 40)), rng.normal(size=(400, 40, 1))
    found = forecast_fit(study(rng.normal(size=y.shape), panel_of(y, X, horizon=1)))
    means = found.table[(found.table["unit"] == "all") & (found.table["z"] == "full")]
    for row in means.itertuples():
        part = found.table[(found.table["z"] == "full") & (found.table["over"] == row.over)]["r2"]
        error = 4.0 * part.std() / np.sqrt(row.units)
        assert abs(row.r2_adj) < error
        assert abs(row.r2 - row.r2_by_chance) < error


def test_what_cannot_be_told_is_refused() -> None:
    panel, first, _ = example()
    made = study(first, panel)
    with pytest.raises(
        DataError, match="no forecast out of sample; choose a validation with folds"
    ):
        forecast_fit(replace(made, predictions=pd.DataFrame()))
    two = pd.concat([made.predictions, made.predictions.assign(path=2)])
    with pytest.raises(DataError, match="forecasts of 2 paths; allowed: a validation with one"):
        forecast_fit(replace(made, predictions=two))
    with pytest.raises(DataError, match="no cell has both forecasts"):
        forecast_fit(made, against=Given(np.full((T, N), np.nan)))
    with pytest.raises(DataError, match=r"against\.window: given 3 with 3 terms; allowed: from 4"):
        forecast_fit(made, against=Rolling(window=3))


@pytest.mark.parametrize("least", [LEAST, 1000])
def test_it_can_be_drawn(least: int) -> None:
    """With no regression by past moments at all, too."""
    panel, first, second = example()
    found: Finding = forecast_fit(study(first, panel), against=Given(second), least=least)
    figure = DRAWINGS[found.picture](found.table)
    figure.canvas.draw()
    assert [len(axes.lines) for axes in figure.axes] == ([4, 4] if least == LEAST else [1, 1])
