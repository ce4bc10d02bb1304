"""What dates do to the mean over assets, beside a loop of plain numpy over the assets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_ragged_panels import as_arrays, ragged

from runner.models import Regression
from runner.panels.panel import Panel
from runner.trials import influence_of_assets
from runner.trials.influence import influence_of
from runner.trials.influence_of_assets import over_assets
from runner.trials.premises import series_of


def by_loop(
    panel: Panel, params: np.ndarray, assets: np.ndarray, constant: bool
) -> tuple[np.ndarray, ...]:
    """Means over assets of influence and share (T, k), of bias and persistence (k,)."""
    y, X, use, weights = panel.y, panel.X, panel.valid, panel.weights
    found = []
    for i in assets:
        t = np.flatnonzero(use[:, i])
        z = np.column_stack([np.ones(len(t)), X[t, i]]) if constant else X[t, i]
        u = y[t, i] - z @ params[i]
        if weights is not None:
            root = np.sqrt(weights[t, i])
            z, u = z * root[:, None], u * root
        a = np.linalg.pinv(z).T  # (rows, k)
        every = np.zeros((len(y), a.shape[1]))
        influence, share, effective = every.copy(), every.copy(), every.copy()
        influence[t] = a * u[:, None]
        share[t] = a**2 / (a**2).sum(axis=0)
        effective[t] = a
        residual = np.zeros((len(y), 1))
        residual[t, 0] = u
        series = series_of(effective[:, None], residual, use[:, [i]], panel.horizon)
        persistence = np.where(series.weight > 0.0, series.persistence, np.nan)
        found.append((influence, share, series.bias, persistence))
    return tuple(np.mean(column, axis=0) for column in zip(*found, strict=True))


@pytest.mark.parametrize("cells", [1, 500, 10**6])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("horizon", [0, 5])
def test_it_is_the_mean_of_the_assets(
    cells: int, constant: bool, weighted: bool, horizon: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influence_of_assets, "CELLS", cells)
    rows = ragged(3, horizon, weighted)
    middle = rows.X[rows.valid].mean(axis=0)
    rows = replace(
        rows, cells=replace(rows.cells, X=rows.cells.X - middle)
    )  # for the oracle's digits
    model = Regression(by="asset", constant=constant)
    fit = model.fit(rows)
    own = np.flatnonzero(np.isfinite(fit.params).all(axis=1))
    assert 30 < len(own) < len(rows.assets)
    expected = by_loop(rows, fit.params, own, constant)
    none = [np.empty((0, 0))] * len(own)
    for panel in (rows, as_arrays(rows)):
        columns = list(range(len(panel.names)))
        b = fit.params[own]
        found, seen = over_assets(panel.cells, columns, own, b, none, panel.horizon)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12 * np.nanmax(np.abs(other)))
        np.testing.assert_array_equal(seen, panel.valid[:, own].any(axis=1))


def test_rows_and_arrays_have_the_same_influences() -> None:
    rows = ragged(1)
    model = Regression(by="asset", regressors=["x2", "x0"])
    of_rows = influence_of(rows, model, model.fit(rows))
    arrays = as_arrays(rows)
    of_arrays = influence_of(arrays, model, model.fit(arrays))
    assert of_rows.series is not None and of_arrays.series is not None
    scale = of_arrays.series.abs().to_numpy().max(axis=0)
    gaps = np.abs((of_rows.series - of_arrays.series).to_numpy()).max(axis=0)
    assert (gaps <= 1e-12 * scale).all()
    assert of_rows.doubts == of_arrays.doubts
