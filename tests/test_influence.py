"""Influential rows, held against statsmodels and against fits without the row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from oracles import panel_of, random_arrays
from statsmodels.stats.outliers_influence import OLSInfluence
from studies import study_of

import runner.analyses.estimates.influence as module
from runner.analyses.estimates.influence import influence
from runner.errors import DataError
from runner.models.regression import Regression
from runner.panels.panel import Panel
from runner.sinks.canvas import style
from runner.sinks.drawings import DRAWINGS

REL = 1e-9  # two float64 ways through a division by 1 - leverage


def ragged(T: int = 60, N: int = 3, K: int = 2, scale: float = 1.0) -> Panel:
    y, X = random_arrays(3, T, N, K)
    y[5:9, 0], X[20, 1, 0], y[40, 2] = np.nan, np.nan, y[40, 2] + 30.0
    return panel_of(scale * y, X)


def cells(panel: Panel, i: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Date and asset of each row (n, 2), X (n, k) with a constant, y (n,)."""
    at = np.argwhere(
        panel.valid if i is None else panel.valid & (np.arange(len(panel.assets)) == i)
    )
    return at, sm.add_constant(panel.X[at[:, 0], at[:, 1]]), panel.y[at[:, 0], at[:, 1]]


def held_against(panel: Panel, part: Any, i: int | None, most: int) -> None:
    at, X, y = cells(panel, i)
    fit = sm.OLS(y, X).fit()
    oracle = OLSInfluence(fit)
    cook = oracle.cooks_distance[0]
    order = np.argsort(-cook, kind="stable")[:most]
    assert list(part["date"]) == list(panel.dates[at[order, 0]])
    assert list(part["asset"]) == [panel.assets[j] for j in at[order, 1]]
    expected = {
        "leverage": oracle.hat_matrix_diag,
        "residual": fit.resid,
        "studentised": oracle.resid_studentized_external,
        "cooks_distance": cook,
        "dffits": oracle.dffits[0],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(
            part[name], values[order], rtol=REL, atol=1e-12 * np.abs(values).max()
        )
    for row, j in zip(part.to_dict("records"), order, strict=True):
        slope = 1 + int(np.abs(oracle.dfbetas[j, 1:]).argmax())
        assert row["term"] == f"x{slope - 1}" and row["dfbetas"] == pytest.approx(
            oracle.dfbetas[j, slope], rel=REL
        )
        without = sm.OLS(np.delete(y, j), np.delete(X, j, axis=0)).fit()
        assert row["estimate_without"] == pytest.approx(without.params[slope], rel=1e-8)
        assert row["estimate"] == pytest.approx(fit.params[slope], rel=REL)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e8])
@pytest.mark.parametrize("by", ["asset", None])
def test_measures_are_those_of_statsmodels(
    by: str | None, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CELLS", 21)  # several blocks, the last one shorter
    panel = ragged(scale=scale)
    table = influence(study_of(panel, Regression(by=by)), most=12).table
    if by is None:
        held_against(panel, table, None, 12)
    else:
        for i, name in enumerate(panel.assets):
            held_against(panel, table[table["unit"] == name], i, 12)
    assert (table["reason"] == "").all()


def test_shares_over_the_bounds_are_counted_over_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS", 50)
    panel = ragged(T=200)
    found = influence(study_of(panel, Regression(by=None, cov="HC3")), most=1)
    _, X, y = cells(panel, None)
    oracle, (n, k) = OLSInfluence(sm.OLS(y, X).fit()), X.shape
    expected = {
        "cook_share": oracle.cooks_distance[0] > 4 / n,
        "leverage_share": oracle.hat_matrix_diag > 2 * k / n,
        "dffits_share": np.abs(oracle.dffits[0]) > 2 * (k / n) ** 0.5,
        "studentised_share": np.abs(oracle.resid_studentized_external) > 3,
    }
    for name, mask in expected.items():
        assert mask.any() and found.metrics[name] == pytest.approx(mask.mean(), rel=1e-12), name
    assert f"{int(expected['cook_share'].sum())} of {n} rows" in found.words[0]
    assert found.metrics["cooks_distance_max"] == pytest.approx(
        oracle.cooks_distance[0].max(), rel=REL
    )
    assert "of A2 (Cook's distance" in found.words[1] and len(found.table) == 1


def test_a_row_with_a_term_of_its_own_has_its_reason() -> None:
    y, X = random_arrays(0, 40, 1, 2)
    X[:, 0, 1] = np.arange(40) == 17
    found = influence(study_of(panel_of(y, X), Regression()), most=40)
    alone = found.table[found.table["cooks_distance"].isna()]
    assert len(alone) == 1 and alone["leverage"].iloc[0] == pytest.approx(1.0)
    assert alone["date"].iloc[0] == panel_of(y, X).dates[17] and alone["reason"].iloc[0].startswith(
        "leverage of 1"
    )
    assert "1 row with a leverage of 1: each is fitted by a term of its own." in found.words


def test_units_without_residuals_have_a_reason() -> None:
    y, X = random_arrays(0, 40, 4, 2)
    y[2:, 0], y[4:, 1] = np.nan, np.nan  # too few, and one degree of freedom
    y[:, 2] = 1.0 + X[:, 2] @ [1.0, 2.0]
    table = influence(study_of(panel_of(y, X), Regression())).table.set_index("unit")
    assert table.loc["A0", "reason"].startswith("no estimates")
    assert table.loc["A1", "reason"] == "4 rows for 3 terms; needs two more"
    assert table.loc["A2", "reason"] == "fits exactly: no residuals"
    assert (table.loc["A3", "reason"] == "").all() and len(table) == 13


def test_principal_components_count_as_terms() -> None:
    y, X = random_arrays(0, 60, 5, 1)
    table = influence(study_of(panel_of(y, X), Regression(components=1)), most=3).table
    assert set(table["term"]) <= {"x0", "PC1"} and (table["terms"] == 3).all()


def test_pooled_rows_are_never_in_more_than_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(module, "CELLS", 30)
    measures = module.Whole.measures
    monkeypatch.setattr(
        module.Whole, "measures", lambda self, X, u: sizes.append(len(u)) or measures(self, X, u)
    )
    influence(study_of(ragged(T=100), Regression(by=None)))
    assert max(sizes) <= 30 and len(sizes) == 10


@pytest.mark.parametrize(
    "model",
    [
        Regression(by="date"),
        Regression(estimator="ridge", penalty=1.0),
        Regression(by=None, effects=["asset"]),
    ],
)
def test_other_models_are_refused(model: Regression) -> None:
    y, X = random_arrays(0, 40, 9, 2)
    with pytest.raises(DataError, match="model"):
        influence(study_of(panel_of(y, X), model))


@pytest.mark.parametrize("by", ["asset", None])
def test_it_draws(by: str | None) -> None:
    found = influence(study_of(ragged(), Regression(by=by)), most=1)
    with style():
        assert DRAWINGS[found.picture](found.table) is not None
        assert DRAWINGS[found.picture](found.table.assign(cooks_distance=np.nan)) is None
