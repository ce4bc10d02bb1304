"""Ridge, LASSO and elastic net beside scikit-learn's, and the choice of their penalty beside a plain loop."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracles import close, panel_of, punch_holes, random_arrays
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, Lasso, LassoCV, Ridge
from sklearn.model_selection import TimeSeriesSplit

from runner.cli.composition import Composer
from runner.data.sources.french import _shipped_file
from runner.errors import DataError, EstimationError
from runner.estimators.penalised import penalty, reductions, solvers
from runner.estimators.penalised.penalty import Curve
from runner.estimators.penalised.ridge import FEW, half_inverse
from runner.experiment.run import run
from runner.experiment.spec import mistakes
from runner.models.fit import Fit
from runner.models.regression import Regression
from runner.panels.panel import Panel
from runner.sinks.drawings import DRAWINGS
from runner.validation.splitters import Fold, HoldOut, NoValidation, WalkForward, split_usable

ESTIMATORS = ["ridge", "lasso", "elastic_net"]
GROUPINGS = ["asset", "date", "sector", None]
# Slopes against scikit-learn's. Its coordinate descent stops when the duality gap is 1e-15 of the target's sum of
# squares; slopes are then right to the root of that over the least eigenvalue, some 1e-8. Of ridge both are direct.
SLOPES = {"ridge": 1e-9, "lasso": 1e-8, "elastic_net": 1e-8}
FLOOR = 1e-9  # of slopes of order one


def sklearn_line(
    X: np.ndarray,
    y: np.ndarray,
    estimator: str,
    alpha: float,
    ratio: float,
    constant: bool,
    standardise: bool,
) -> np.ndarray:
    """Constant and slopes (k,) of scikit-learn's own estimator on regressors divided by their standard deviation."""
    scale = X.std(axis=0) if standardise else np.ones(X.shape[1])
    scale = np.where(scale < 1e-12, 1.0, scale)
    descent: dict[str, Any] = {"fit_intercept": constant, "tol": 1e-15, "max_iter": 100_000}
    one = {
        "ridge": Ridge(alpha, fit_intercept=constant, solver="svd"),
        "lasso": Lasso(alpha, **descent),
        "elastic_net": ElasticNet(alpha, l1_ratio=ratio, **descent),
    }[estimator]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its gap cannot fall below rounding
        one.fit(X / scale, y)
    return np.append(one.intercept_, one.coef_ / scale) if constant else one.coef_ / scale


def objective(
    X: np.ndarray,
    y: np.ndarray,
    b: np.ndarray,
    estimator: str,
    alpha: float,
    ratio: float,
    constant: bool,
    size: Any,
) -> float:
    """What the estimates make least, by scikit-learn's factors; `size` (K,) multiplies the slopes in the penalty."""
    u, slopes = y - X @ b[constant:] - (b[0] if constant else 0.0), b[constant:] * size
    if estimator == "ridge":
        return float(u @ u + alpha * slopes @ slopes)
    share = 1.0 if estimator == "lasso" else ratio
    return float(
        u @ u / (2 * len(y))
        + alpha * (share * np.abs(slopes).sum() + (1 - share) / 2 * slopes @ slopes)
    )


def holed(
    seed: int, T: int = 40, N: int = 9, K: int = 4, horizon: int = 0, ragged: bool = True
) -> Panel:
    """A panel with gaps and ragged listings, assets in two sectors."""
    y, X = random_arrays(seed, T, N, K)
    punch_holes(np.random.default_rng(seed), y, X, 0.05, ragged)
    panel = panel_of(y, X, horizon)
    groups = pd.DataFrame({"sector": [f"G{i % 2}" for i in range(N)]}, index=panel.assets)
    return replace(panel, groups=groups)


def unit_rows(
    panel: Panel, by: str | None, rows: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Regressors, target and row of every cell, by unit, by looking at each cell."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for t, i in product(rows, range(len(panel.assets))):
        names = {"asset": panel.assets[i], "date": f"{panel.dates[t]:%Y-%m-%d}", None: "all"}
        name = names[by] if by in names else panel.groups[by].iloc[i]
        if panel.valid[t, i]:
            found.setdefault(name, []).append((panel.X[t, i], panel.y[t, i], t))
    return {
        name: tuple(np.array(part) for part in zip(*cells, strict=True))
        for name, cells in found.items()
    }


def estimates(fit: Fit) -> dict[str, np.ndarray]:
    table = fit.coefficients[fit.coefficients["scope"] != "mean"]
    return {
        str(name): part["estimate"].to_numpy() for name, part in table.groupby("unit", sort=False)
    }


def reasons(fit: Fit) -> set[str]:
    return set(fit.quality.loc[fit.quality["r2"].isna(), "reason"])


# Given penalties


@pytest.mark.parametrize("by", GROUPINGS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimates_are_those_of_scikit_learn(estimator: str, by: str | None) -> None:
    panel, rows = holed(3), np.arange(4, 37)
    for constant, standardise, alpha in product((True, False), (True, False), (0.03, 0.4)):
        model = Regression(
            by=by,
            estimator=estimator,
            penalty=alpha,
            l1_ratio=0.3,
            constant=constant,
            standardise=standardise,
        )
        fit = model.fit(panel, rows)
        found, cells = estimates(fit), unit_rows(panel, by, rows)
        assert set(found) == {name for name, (_, y, _) in cells.items() if len(y) > 1}
        for name, b in found.items():
            X, y, _ = cells[name]
            expected = sklearn_line(X, y, estimator, alpha, 0.3, constant, standardise)
            what = f"{estimator} {by} {name}"
            if len(y) > X.shape[1] + 1:
                close(b, expected, what, SLOPES[estimator], FLOOR)
            else:  # several lines may do equally well: two rows differ in one way only
                size = X.std(axis=0) if standardise else 1.0
                value, least = (
                    objective(X, y, one, estimator, alpha, 0.3, constant, size)
                    for one in (b, expected)
                )
                assert value <= least * (1 + 1e-10), what  # theirs may stop short of the least
            quality = fit.quality.set_index("unit").loc[name]
            u = y - X @ b[constant:] - (b[0] if constant else 0.0)
            tss = np.sum((y - y.mean()) ** 2)
            close(
                [quality["n_obs"], quality["r2"]],
                [len(y), 1 - u @ u / tss],
                f"{what}: n and r2",
                1e-9,
                1e-11,
            )


def test_errors_tests_and_degrees_of_freedom_are_absent() -> None:
    fit = Regression(by=None, estimator="lasso", penalty=0.1).fit(holed(1), np.arange(40))
    assert fit.coefficients[["std_error", "t_stat", "p_value", "ci_low"]].isna().all(axis=None)
    row = fit.quality.iloc[0]
    assert row[["df_resid", "r2_adj", "residual_std", "f_stat", "aic", "bic"]].isna().all()
    assert row["reason"] == "" and not fit.findings


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_more_columns_than_rows(estimator: str) -> None:
    rng = np.random.default_rng(5)
    X, n = rng.normal(size=(12, 1, 40)), 12
    y = X[:, :, :2].sum(axis=2) + 0.1 * rng.normal(size=(12, 1))
    for alpha in (0.02, 0.5):
        b = estimates(
            Regression(estimator=estimator, penalty=alpha).fit(panel_of(y, X), np.arange(n))
        )["A0"]
        expected = sklearn_line(X[:, 0], y[:, 0], estimator, alpha, 0.5, True, True)
        # the least eigenvalue of the columns kept is a tenth of that of long panels
        close(b, expected, estimator, 1e-7, 1e-8)
    with pytest.raises(
        DataError, match="penalty 0 with collinear columns, or with no more rows than columns"
    ):
        Regression(estimator=estimator, penalty=0.0).fit(panel_of(y, X), np.arange(n))


def test_no_penalty_is_least_squares() -> None:
    panel, rows = holed(8), np.arange(40)
    plain = estimates(Regression(by="sector").fit(panel, rows))
    for estimator in ESTIMATORS:
        for name, b in estimates(
            Regression(by="sector", estimator=estimator, penalty=0.0).fit(panel, rows)
        ).items():
            close(b, plain[name], f"{estimator} {name}")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_units_of_the_data_do_not_matter_where_columns_are_standardised(estimator: str) -> None:
    panel, rows = holed(4, K=3), np.arange(40)
    model = Regression(by=None, estimator=estimator, penalty=0.2)
    expected = estimates(model.fit(panel, rows))["all"][1:]
    scale, shift = np.array([1e-30, 1.0, 1e30]), np.array([5e-30, 1e4, -3e32])
    moved = replace(panel, X=panel.X * scale + shift)
    # a level of 1e4 deviations leaves twelve digits of each cell
    close(estimates(model.fit(moved, rows))["all"][1:] * scale, expected, estimator, 1e-8, 1e-9)


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_a_penalty_scales_as_the_target_does(size: float) -> None:
    """Of LASSO with the target; of ridge the estimates do; both by hand from the definitions."""
    panel, rows = holed(6), np.arange(40)
    larger = replace(panel, y=panel.y * size)
    for estimator, alpha in (("lasso", 0.1 * size), ("ridge", 0.1)):
        one = Regression(by=None, estimator=estimator, penalty=0.1).fit(panel, rows)
        two = Regression(by=None, estimator=estimator, penalty=alpha).fit(larger, rows)
        close(estimates(two)["all"] / size, estimates(one)["all"], estimator)


def test_columns_of_very_different_size_without_standardising() -> None:
    panel, rows = holed(7, K=3), np.arange(40)
    panel = replace(panel, X=panel.X * np.array([1e-5, 1.0, 1e5]))
    X, y, _ = unit_rows(panel, None, rows)["all"]
    n, Xc, yc = len(y), X - X.mean(axis=0), y - y.mean()
    for alpha in (1e-8, 1.0):
        b = estimates(
            Regression(by=None, estimator="ridge", penalty=alpha, standardise=False).fit(
                panel, rows
            )
        )["all"]
        stacked = np.vstack([Xc, np.sqrt(alpha) * np.eye(3)])
        size = np.linalg.norm(stacked, axis=0)
        expected = np.linalg.lstsq(stacked / size, np.append(yc, np.zeros(3)), rcond=None)[0] / size
        close(b[1:], expected, f"ridge {alpha}", 1e-8, 0.0)
    b = estimates(
        Regression(by=None, estimator="lasso", penalty=1e-4, standardise=False).fit(panel, rows)
    )["all"][1:]
    slope = Xc.T @ (yc - Xc @ b) / n
    assert (b != 0.0).any() and b[0] == 0.0
    close(np.where(b != 0.0, slope, 0.0), 1e-4 * np.sign(b), "optimality", 1e-6, 1e-9)
    assert (np.abs(slope) <= 1e-4 * (1 + 1e-6)).all()


@pytest.mark.parametrize("estimator", ["ridge", "elastic_net"])
def test_twin_columns_share_their_slope(estimator: str) -> None:
    panel, rows = holed(9), np.arange(40)
    twins = replace(panel, X=panel.X[:, :, [0, 1, 0]], names=["x0", "x1", "twin"])
    b = estimates(Regression(by=None, estimator=estimator, penalty=0.2).fit(twins, rows))["all"]
    X, y, _ = unit_rows(twins, None, rows)["all"]
    close(b, sklearn_line(X, y, estimator, 0.2, 0.5, True, True), estimator, 1e-8, FLOOR)
    close(b[1], b[3], "twins", 1e-8)


def test_lasso_of_twin_columns_fits_as_well_as_scikit_learn() -> None:
    panel, rows = holed(9), np.arange(40)
    near = panel.X[:, :, 0] + 1e-9 * panel.X[:, :, 1]
    for twin in (panel.X[:, :, 0], near):
        twins = replace(panel, X=np.dstack([panel.X, twin]), names=[*panel.names, "twin"])
        b = estimates(Regression(by=None, estimator="lasso", penalty=0.05).fit(twins, rows))["all"]
        X, y, _ = unit_rows(twins, None, rows)["all"]
        other = sklearn_line(X, y, "lasso", 0.05, 1.0, True, True)
        value, least = (
            objective(X, y, one, "lasso", 0.05, 1.0, True, X.std(axis=0)) for one in (b, other)
        )
        close(value, least, "least value", 1e-10)
        close(X @ b[1:] + b[0], X @ other[1:] + other[0], "fitted", 1e-6, 1e-6)


def test_units_without_an_answer_have_a_reason() -> None:
    y, X = random_arrays(2, 30, 5, 2)
    X[:, 0, 1] = 3.0
    y[:, 1] = 0.1
    y[1:, 2] = np.nan
    y[:, 3] = np.nan
    X[:, 4, 0] *= 1e90
    for estimator in ESTIMATORS:
        y[:, 4] = np.random.default_rng(1).normal(size=30)
        fit = Regression(estimator=estimator, penalty=0.1).fit(
            panel_of(
                np.column_stack([y, y[:, 4]]),
                np.concatenate([X, random_arrays(4, 30, 1, 2)[1]], axis=1),
            ),
            np.arange(30),
        )
        assert set(estimates(fit)) == {"A5"}
        found = dict(zip(fit.quality["unit"], fit.quality["reason"], strict=True))
        assert found["A0"] == "x1 is constant"
        assert found["A1"] == "the target is constant"
        assert found["A2"] == "1 row; needs at least 2"
        assert found["A3"] == "0 rows; needs at least 2"
        assert found["A4"].startswith("x0 is of size") and found["A4"].endswith(
            "allowed: 1e-70 to 1e+70"
        )
        assert fit.quality["n_obs"].tolist() == [30, 30, 1, 0, 30, 30]
        with pytest.raises(EstimationError, match="x1 is constant"):
            Regression(estimator=estimator, penalty=0.1).fit(
                panel_of(y[:, :1], X[:, :1]), np.arange(30)
            )


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("by", GROUPINGS)
def test_moments_and_rows_agree(
    monkeypatch: pytest.MonkeyPatch, estimator: str, by: str | None
) -> None:
    """The same fit with and without moments; penalties chosen too."""
    panel, rows = holed(11, T=60, N=12, K=3), np.arange(3, 58)
    model = Regression(by=by, estimator=estimator, penalties=12)
    fast = model.fit(panel, rows)
    monkeypatch.setattr(reductions, "MOST_NUMBERS", 0)
    slow = model.fit(panel, rows)
    for name, b in estimates(fast).items():
        close(b, estimates(slow)[name], f"{by} {name}", 1e-9, 1e-11)
    one, two = (fit.findings["path"].table.select_dtypes("number") for fit in (fast, slow))
    close(one, two, "path", 1e-8, 1e-11)


@pytest.mark.parametrize(
    ("estimator", "first"), [("lasso", "_least_angle"), ("elastic_net", "_descent_to_signs")]
)
def test_another_solver_steps_in_where_the_first_fails(
    monkeypatch: pytest.MonkeyPatch, estimator: str, first: str
) -> None:
    panel, rows = holed(12), np.arange(40)
    model = Regression(by=None, estimator=estimator, penalty=0.05)
    expected = estimates(model.fit(panel, rows))["all"]

    def wrong(A: np.ndarray, z: np.ndarray, penalty: solvers.Penalty) -> np.ndarray:
        return np.zeros((len(penalty.l1), A.shape[1]))

    monkeypatch.setattr(solvers, first, wrong)
    close(estimates(model.fit(panel, rows))["all"], expected, "second solver", 1e-9)
    monkeypatch.setattr(solvers, "_descent", wrong)
    monkeypatch.setattr(solvers, "_least_angles", wrong)
    with pytest.raises(EstimationError, match="the penalised regression did not converge"):
        model.fit(panel, rows)


def test_collinear_columns_share_a_slope_without_many_sweeps() -> None:
    """Twice the same column is one of twice the weight: its slope solves a linear equation."""
    draw = np.random.default_rng(4)
    x = draw.normal(size=60)
    z = x + draw.normal(size=60)
    z *= np.sqrt(60) / np.linalg.norm(z)
    x *= np.sqrt(60) / np.linalg.norm(x)
    shares = np.geomspace(0.5, 1e-4, 30) * abs(x @ z) / 60
    penalty = solvers.Penalty(shares, shares)
    b = solvers._descent_to_signs(np.column_stack([x, x]), z, penalty)
    expected = (x @ z / 60 - shares) / (2.0 + shares)
    np.testing.assert_allclose(b, np.column_stack([expected, expected]), rtol=1e-6)


# The choice of the penalty


def naive_choice(
    panel: Panel,
    by: str | None,
    rows: np.ndarray,
    folds: list[Fold],
    model: Regression,
    alphas: dict[str, np.ndarray],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean squared errors over folds and their standard errors (L,), by unit, by fitting each fold and penalty."""
    position, found = {t: p for p, t in enumerate(rows)}, {}
    for name, (X, y, t) in unit_rows(panel, by, rows).items():
        if name not in alphas:
            continue
        at, curves = np.array([position[one] for one in t]), []
        for fold in folds:
            train, test = np.isin(at, fold.train), np.isin(at, fold.test)
            if train.sum() < 2 or not test.any():
                continue
            errors = []
            for alpha in alphas[name]:
                line = sklearn_line(
                    X[train],
                    y[train],
                    model.estimator,
                    alpha,
                    model.l1_ratio,
                    model.constant,
                    model.standardise,
                )
                u = (
                    y[test]
                    - X[test] @ line[model.constant :]
                    - (line[0] if model.constant else 0.0)
                )
                errors.append(np.mean(u**2))
            curves.append(errors)
        if len(curves) > 1:
            found[name] = (
                np.mean(curves, axis=0),
                np.std(curves, axis=0, ddof=1) / np.sqrt(len(curves)),
            )
    return found


@pytest.mark.parametrize("by", ["asset", "sector", None])
@pytest.mark.parametrize(
    ("estimator", "standardise"), [("ridge", True), ("lasso", False), ("elastic_net", True)]
)
def test_error_curves_and_choices_are_those_of_a_loop(
    estimator: str, standardise: bool, by: str | None
) -> None:
    panel, rows = holed(21, T=54, N=4, K=3, horizon=2), np.arange(2, 52)
    splitter = WalkForward(test=7, train_ends=[18, 25, 40], window=16)
    model = Regression(
        by=by,
        estimator=estimator,
        penalties=5,
        l1_ratio=0.7,
        standardise=standardise,
        folds=splitter,
    )
    fit = model.fit(panel, rows)
    table = fit.findings["path"].table
    alphas = {str(name): part["penalty"].to_numpy() for name, part in table.groupby("unit")}
    folds = split_usable(splitter, panel.dates[rows], panel.usable[rows], 2, rows)
    naive = naive_choice(panel, by, rows, folds, model, alphas)
    assert set(naive) == set(alphas) and len(naive) >= 1 + (by is not None)
    for name, (mean, error) in naive.items():
        part = table[table["unit"] == name]
        # errors are flat in slopes near their least value: they hold those digits of them, and the descent's stop
        close(part["mean_error"], mean, f"{name} mean", 1e-7)
        close(part["std_error"], error, f"{name} standard error", 1e-6)
        least = min(range(5), key=lambda k: mean[k])
        one_se = next(k for k in range(5) if mean[k] <= mean[least] + error[least])
        assert np.flatnonzero(part["least"]).tolist() == [least]
        assert np.flatnonzero(part["one_se"]).tolist() == [one_se]
        X, y, _ = unit_rows(panel, by, rows)[name]
        for choice, k in (("one_se", one_se), ("min", least)):
            b = estimates(replace(model, choice=choice).fit(panel, rows))[name]
            close(
                b,
                sklearn_line(X, y, estimator, alphas[name][k], 0.7, True, standardise),
                name,
                1e-7,
                FLOOR,
            )
            shown = part.iloc[k].filter(like="coef/").to_numpy(dtype=float)
            close(shown, b[1:], "the path holds the estimates", 1e-12)
            assert part["terms"].iloc[k] == (b[1:] != 0.0).sum()


def test_the_choice_by_date_is_that_of_the_mean_line() -> None:
    """One penalty for all dates: the mean of the training dates' lines forecasts the test dates."""
    panel, rows = holed(23, T=30, N=12, K=2, horizon=1, ragged=False), np.arange(4, 28)
    splitter = WalkForward(test=5, first=9)
    model = Regression(by="date", estimator="ridge", penalties=6, folds=splitter)
    fit = model.fit(panel, rows)
    table, cells = fit.findings["path"].table, unit_rows(panel, "date", rows)
    assert table["scope"].unique().tolist() == ["mean"] and table["unit"].unique().tolist() == [
        "all"
    ]
    names, errors = [f"{day:%Y-%m-%d}" for day in panel.dates[rows]], []
    assert all(len(cells[name][1]) > 1 for name in names)
    for fold in splitter.split(panel.dates[rows], 1):
        curve = []
        for alpha in table["penalty"]:
            lines = [
                sklearn_line(*cells[names[t]][:2], "ridge", alpha, 0.0, True, True)
                for t in fold.train
            ]
            line = np.mean(lines, axis=0)
            u = [cells[names[t]][1] - cells[names[t]][0] @ line[1:] - line[0] for t in fold.test]
            curve.append(np.mean(np.concatenate(u) ** 2))
        errors.append(curve)
    close(table["mean_error"], np.mean(errors, axis=0), "mean error")
    chosen = table.loc[table["one_se"], "penalty"].iloc[0]
    for name, b in estimates(fit).items():
        close(b, sklearn_line(*cells[name][:2], "ridge", chosen, 0.0, True, True), name)
    largest = max(np.linalg.norm((X - X.mean(0)) / X.std(0), 2) ** 2 for X, _, _ in cells.values())
    close(table["penalty"].iloc[[0, -1]], [100 * largest, 1e-4 * largest], "grid of ridge")


def test_grid_and_curve_are_those_of_lasso_cv() -> None:
    y, X = random_arrays(31, 90, 1, 5)
    panel, rows = panel_of(y, X, horizon=3), np.arange(90)
    cv = TimeSeriesSplit(
        5, gap=2
    )  # with a horizon of 3, the targets of two rows are not known at the first one
    theirs = LassoCV(cv=cv, alphas=20, eps=1e-3, tol=1e-14, max_iter=100_000).fit(X[:, 0], y[:, 0])
    model = Regression(estimator="lasso", standardise=False, penalties=20, choice="min")
    fit = model.fit(panel, rows)
    table = fit.findings["path"].table
    close(table["penalty"], theirs.alphas_, "grid")
    close(table["mean_error"], theirs.mse_path_.mean(axis=1), "curve", 1e-7)
    close(fit.findings["path"].metrics["penalty"], theirs.alpha_, "penalty")
    close(estimates(fit)["A0"], np.append(theirs.intercept_, theirs.coef_), "estimates", 1e-6, 1e-8)
    assert table["terms"].iloc[0] == 0 and table["terms"].iloc[1] > 0


@pytest.mark.parametrize("seed", range(20))
def test_one_standard_error_rule(seed: int) -> None:
    rng = np.random.default_rng(seed)
    errors = 1.0 + rng.random((rng.integers(2, 6), 8)).round(1)
    penalties, none = np.geomspace(1.0, 1e-3, 8), np.zeros((8, 0))
    curve = Curve(penalties, errors, none, none[0], np.zeros(8))
    mean, best = errors.mean(axis=0), None
    least = max((k for k in range(8) if mean[k] == mean.min()), key=lambda k: penalties[k])
    limit = mean[least] + errors[:, least].std(ddof=1) / len(errors) ** 0.5
    for k in range(8):
        if mean[k] <= limit and (best is None or penalties[k] > penalties[best]):
            best = k
    assert (curve.least, curve.one_se) == (least, best)
    assert (curve.chosen("min"), curve.chosen("one_se")) == (least, best)


def test_folds_that_a_unit_has_no_rows_for_do_not_count() -> None:
    y, X = random_arrays(41, 60, 2, 2)
    y[:30, 1] = np.nan
    splitter = WalkForward(test=10, first=20)
    table = (
        Regression(estimator="lasso", penalties=4, folds=splitter)
        .fit(panel_of(y, X), np.arange(60))
        .findings["path"]
        .table
    )
    assert table.groupby("unit")["folds"].first().to_dict() == {"A0": 4, "A1": 2}
    y[:50, 1] = np.nan
    fit = Regression(estimator="lasso", penalties=4, folds=splitter).fit(
        panel_of(y, X), np.arange(60)
    )
    assert reasons(fit) == {
        "0 of the folds that choose a penalty with 2 training rows and a test row; choice=one_se needs 2"
    }
    one = Regression(estimator="lasso", penalties=4, folds=HoldOut(rows=9))
    with pytest.raises(EstimationError, match=r"1 of the folds .* choice=one_se needs 2"):
        one.fit(panel_of(y[:, :1], X[:, :1]), np.arange(60))
    metrics = (
        replace(one, choice="min")
        .fit(panel_of(y[:, :1], X[:, :1]), np.arange(60))
        .findings["path"]
        .metrics
    )
    assert set(metrics) == {"penalty", "penalty_min", "terms_min"}


@pytest.mark.parametrize("estimator", ["lasso", "elastic_net"])
def test_the_grid_begins_where_no_regressor_is_left(estimator: str) -> None:
    model = Regression(by=None, estimator=estimator, l1_ratio=0.3, penalties=200)
    terms = model.fit(holed(35), np.arange(40)).findings["path"].table["terms"]
    assert terms.iloc[0] == 0 and terms.iloc[1] == 1


def test_slopes_that_leave_the_path_are_exact_zeros() -> None:
    """Of more columns than rows many come and go; scikit-learn's path holds their rounding."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(30, 400)) + rng.normal(size=(30, 1))
    z = A[:, :3].sum(axis=1) + 3.0 * rng.normal(size=30)
    A, z = A - A.mean(axis=0), (z - z.mean()) / z.std()
    most = np.abs(A.T @ z).max() / 30
    given = solvers.Penalty(np.geomspace(most, 1e-3 * most, 100), np.zeros(100))
    b = solvers._least_angle(A, z, given)
    assert solvers._breach(A, z, given, b).max() < solvers.OPTIMAL
    assert (b != 0.0).sum(axis=1).max() < 30


@dataclass
class Watched:
    """A splitter that remembers what it was asked."""

    asked: list[Any]

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        self.asked.append((list(dates), horizon))
        return WalkForward(test=5, first=15).split(dates, horizon)


def test_folds_are_of_the_rows_fitted_and_purge_their_horizon() -> None:
    panel, asked = holed(51, horizon=4), []
    Regression(estimator="ridge", penalties=3, folds=Watched(asked)).fit(panel, np.arange(5, 35))
    usable = panel.dates[5:35][panel.usable[5:35]]
    assert asked == [(list(usable), 4)]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("by", GROUPINGS)
def test_rows_not_fitted_cannot_move_a_bit(estimator: str, by: str | None) -> None:
    panel = holed(61, T=50, K=2)
    model, rows = Regression(by=by, estimator=estimator, penalties=6), np.r_[5:20, 23:36]
    before = model.fit(panel, rows)
    y, X = panel.y.copy(), panel.X.copy()
    y[36:], X[36:], y[:5], X[20:23] = 1e6, np.nan, -1e9, 50.0
    after = model.fit(
        replace(panel, y=y, X=X, valid=np.isfinite(y) & np.isfinite(X).all(axis=2)), rows
    )
    assert before.coefficients.equals(after.coefficients)
    assert before.quality.equals(after.quality)
    assert before.findings["path"].table.equals(after.findings["path"].table)


def test_too_few_rows_for_the_folds_are_refused_in_a_line() -> None:
    panel = holed(71, ragged=False)
    for folds, rows, line in (
        (None, 5, "model.folds: null takes 5 expanding folds; 5 rows fitted, needs 6"),
        (
            WalkForward(test=6, first=24),
            20,
            "model.folds.first: 24 leaves no test row; there are 20 rows, 2020-01-01..2020-01-28 "
            "(counted in the 20 rows fitted)",
        ),
        (
            NoValidation(),
            20,
            "model.folds: gives no fold; allowed: a splitter that does, or a penalty",
        ),
    ):
        with pytest.raises(DataError) as caught:
            Regression(by=None, estimator="lasso", folds=folds).fit(panel, np.arange(rows))
        assert caught.value.mistakes == (line,)


def test_settings_that_are_wrong_are_named() -> None:
    def of(**settings: Any) -> tuple[str, ...]:
        lines = mistakes(
            {
                "model": {
                    "_target_": "runner.models.Regression",
                    "estimator": "lasso",
                    **settings,
                }
            }
        )
        return tuple(line for line in lines if line.startswith("model"))

    folds = {"_target_": "runner.validation.WalkForward", "test": 6, "first": 24}
    assert of() == of(penalty=0.1) == of(folds=folds) == ()
    assert of(penalty=-0.1) == ("model.penalty: given -0.1; allowed: a number from 0",)
    assert of(l1_ratio=2) == ("model.l1_ratio: given 2; allowed: a number from 0 to 1",)
    assert of(penalties=0) == ("model.penalties: given 0; allowed: a number from 1 to 10,000",)
    assert of(folds=folds, penalty=0.1) == (
        "model.folds: given with penalty=0.1; allowed: with penalty=null, which they choose",
    )
    assert of(folds={**folds, "test": 0})[0].startswith(
        "model.folds.test: given 0; allowed: rows, a whole"
    )


# What is told


def test_words_and_metrics_of_one_unit() -> None:
    y, X = random_arrays(81, 120, 1, 4)
    y = 3.0 * X[:, :, 1] + np.random.default_rng(0).normal(size=y.shape)
    found = Regression(estimator="lasso").fit(panel_of(y, X), np.arange(120)).findings["path"]
    at_least, at_one_se = (found.table[found.table[mark]].iloc[0] for mark in ("least", "one_se"))
    assert found.metrics == {
        "penalty": at_one_se["penalty"],
        "penalty_min": at_least["penalty"],
        "terms_min": at_least["terms"],
        "penalty_1se": at_one_se["penalty"],
        "terms_1se": at_one_se["terms"],
    }
    kept = [name for name in ("x0", "x1", "x2", "x3") if at_one_se[f"coef/{name}"] != 0.0]
    assert (
        f"keeps {len(kept)} of 4 regressors ({', '.join(kept)}); that standard error"
        in found.words[1]
    )
    assert "over 5 folds" in found.words[0]
    close(at_least["per_sd/x1"], at_least["coef/x1"] * X[:, 0, 1].std(), "per standard deviation")


def test_noise_is_told_as_noise_and_ridge_counts_nothing() -> None:
    rng = np.random.default_rng(3)
    panel = panel_of(rng.normal(size=(80, 1)), rng.normal(size=(80, 1, 3)))
    words = Regression(estimator="lasso").fit(panel, np.arange(80)).findings["path"].words
    assert "keeps 0 of 3 regressors;" in words[1]
    assert words[-1] == (
        "The smallest error is at the largest penalty tried: on these folds the regressors add nothing measurable."
    )
    assert not any(
        "keeps" in one
        for one in Regression(estimator="ridge").fit(panel, np.arange(80)).findings["path"].words
    )


def test_many_units_and_many_terms_have_a_bounded_table() -> None:
    y, X = random_arrays(91, 40, penalty.MOST_UNITS + 1, 2)
    found = (
        Regression(estimator="lasso", penalties=7)
        .fit(panel_of(y, X), np.arange(40))
        .findings["path"]
    )
    units = found.table[found.table["scope"] == "asset"]
    assert (units["least"] | units["one_se"]).all() and units[
        "unit"
    ].nunique() == penalty.MOST_UNITS + 1
    assert (found.table["scope"] == "mean").sum() == 7
    close(
        found.metrics["penalty_1se"],
        units.loc[units["one_se"], "penalty"].mean(),
        "mean over units",
    )
    rng = np.random.default_rng(0)
    panel = panel_of(rng.normal(size=(30, 1)), rng.normal(size=(30, 1, penalty.MOST_TERMS + 1)))
    found = Regression(estimator="lasso", penalties=7).fit(panel, np.arange(30)).findings["path"]
    assert not any("/" in name for name in found.table)
    assert any("The table leaves out the slopes" in one for one in found.words)


@pytest.mark.parametrize(
    ("by", "N", "K"),
    [("asset", 1, 20), ("asset", 3, 2), ("asset", 25, 2), ("date", 9, 2), (None, 4, 1)],
)
def test_the_path_is_drawn(by: str | None, N: int, K: int) -> None:
    y, X = random_arrays(95, 40, N, K)
    found = (
        Regression(by=by, estimator="lasso", penalties=9)
        .fit(panel_of(y, X), np.arange(40))
        .findings["path"]
    )
    figure = DRAWINGS[found.picture](found.table)
    single = N == 1 or by != "asset"
    assert len(figure.axes) == (2 if single else 1)
    if single:
        assert {f"x{k}" for k in range(K)} <= {text.get_text() for text in figure.axes[0].texts}
    assert [axes.get_xscale() for axes in figure.axes] == ["log"] * len(figure.axes)
    figure.canvas.draw()


def test_experiment_keeps_fewer_within_one_standard_error_and_scores_the_hold_out_once() -> None:
    report = run(Composer().job(["experiment=lasso_1se"]).experiment)
    assert report.folds["fold"].tolist() == ["holdout"]
    days = report.folds.loc[0, ["train_end", "test_start", "test_end"]]
    assert [f"{day:%Y-%m-%d}" for day in days] == ["2016-03-31", "2016-04-30", "2017-03-31"]
    assert (report.metrics["path/terms_1se"], report.metrics["path/terms_min"]) == (4.0, 14.0)
    kept = report.fit.coefficients.query("term != 'const' and estimate != 0")["term"].tolist()
    assert kept == ["MktRF", "HML", "Mom", "RF_change"]
    assert report.findings["path"].table["folds"].unique().tolist() == [4]
    # the penalty of the hold-out was chosen, and its slopes fitted, before the hold-out
    table = pd.read_csv(_shipped_file(), index_col="dates").loc["2012-03-01":]
    y = (table["Enrgy"] - table["RF"]).to_numpy()
    X = report.panel.X[:, 0]
    inner = Regression(estimator="lasso", folds=WalkForward(train_ends=[24, 30, 36, 42], test=6))
    before = inner.fit(report.panel, np.arange(49)).findings["path"].metrics["penalty"]
    line = sklearn_line(
        X[1:49], y[1:49], "lasso", before, 1.0, True, True
    )  # the first month has no lag
    close(
        report.predictions["prediction"],
        X[49:] @ line[1:] + line[0],
        "forecasts of the hold-out",
        1e-7,
        FLOOR,
    )


def test_hypotheses_of_the_spec_are_told_as_untestable() -> None:
    """Only `estimator` changes: what the new one cannot test has a reason, it is no mistake of the spec."""
    y, X = random_arrays(11, 60, 2, 2)
    fit = Regression(estimator="ridge", penalty=1.0, hypotheses=["x0 = 0"]).fit(
        panel_of(y, X), np.arange(60)
    )
    assert list(fit.hypotheses["reason"]) == ["estimates without errors"] * 2
    assert fit.hypotheses["p_value"].isna().all()


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("absent", [False, True])
def test_ridge_with_dummies_of_every_level_is_that_of_scikit_learn(
    standardise: bool, absent: bool
) -> None:
    rng = np.random.default_rng(5)
    T, N = 60, 9
    X, sector = rng.standard_normal((T, N, 2)), np.arange(N) % 3
    y = X @ [0.5, -0.2] + sector + rng.standard_normal((T, N))
    valid = np.ones((T, N), dtype=bool)
    if absent:
        valid[:, sector == 2] = False
    member = np.broadcast_to((sector[:, None] == np.arange(3)).astype(float), (T, N, 3))
    panel = panel_of(y, X)
    groups = pd.DataFrame({"sector": np.array(["x", "y", "z"])[sector]}, index=panel.assets)
    panel = replace(panel, names=["a", "b"], valid=valid, groups=groups)
    model = Regression(
        by=None, estimator="ridge", penalty=2.0, standardise=standardise, dummies=["sector"]
    )
    fit = model.fit(panel, np.arange(T))
    names, Z = (
        ["a", "b", "sector:x", "sector:y", "sector:z"],
        np.concatenate([X, member], axis=2)[valid],
    )
    scale = np.where(Z.std(axis=0) > 0.0, Z.std(axis=0), 1.0) if standardise else np.ones(5)
    theirs = Ridge(2.0, solver="svd").fit(Z / scale, y[valid])
    found = fit.coefficients.set_index("term")["estimate"]
    np.testing.assert_allclose(found[names], theirs.coef_ / scale, rtol=SLOPES["ridge"], atol=1e-12)
    np.testing.assert_allclose(found["const"], theirs.intercept_, rtol=SLOPES["ridge"])
    assert (found["sector:z"] == 0.0) == absent, (
        "a level without rows has no slope, nor the rounding of one"
    )
    r2 = theirs.score(Z / scale, y[valid])
    np.testing.assert_allclose(fit.quality["r2"], r2, rtol=SLOPES["ridge"])


@pytest.mark.parametrize("standardise", [True, False])
def test_ridge_of_many_units_at_once_is_that_of_each_and_passes_on_what_loses_digits(
    standardise: bool,
) -> None:
    from runner.estimators.penalised.ridge import ridge_of_units
    from runner.numerics.moments import moments, shift_of

    rng = np.random.default_rng(2)
    T, N = 80, 5
    X = rng.standard_normal((T, N, 3)) * [1.0, 1e3, 1e-3] + 4.0
    X[:, 3, 1] = X[:, 3, 0]  # collinear
    X[:, 4, 2] = 7.0  # constant
    y, use = rng.standard_normal((T, N)) + X[:, :, 0], rng.random((T, N)) < 0.9
    use[4:, 2] = False  # as many rows as terms
    shift = shift_of(X, y, use, "asset")
    b, ssr, tss, sound = ridge_of_units(
        moments(X, y, use, shift, by_date=False), shift[0], 1.5, standardise
    )
    assert sound.tolist() == [True, True, False, False, False]
    for i in (0, 1):
        Z, z = X[use[:, i], i], y[use[:, i], i]
        scale = Z.std(axis=0) if standardise else np.ones(3)
        theirs = Ridge(1.5, solver="svd").fit(Z / scale, z)
        np.testing.assert_allclose(
            b[i], np.append(theirs.intercept_, theirs.coef_ / scale), rtol=SLOPES["ridge"]
        )
        np.testing.assert_allclose(
            ssr[i], np.sum((z - theirs.predict(Z / scale)) ** 2), rtol=SLOPES["ridge"]
        )
        np.testing.assert_allclose(tss[i], np.sum((z - z.mean()) ** 2), rtol=SLOPES["ridge"])


def test_which_units_are_sound_is_what_the_eigenvalues_say() -> None:
    """The bound that spares most units their eigenvalues decides nothing by itself."""
    from runner.estimators.penalised.ridge import KEPT_DIGITS, ridge_of_units
    from runner.numerics.moments import moments, shift_of

    T, apart = (
        400,
        np.array([0.5e-5, 1.5e-5, 3e-5, 1e-4, 0.3]),
    )  # least eigenvalue of the two columns and the target
    Q = np.linalg.qr(
        np.column_stack([np.ones(T), np.random.default_rng(0).standard_normal((T, 3))])
    )[0][:, 1:]
    first, second, y = Q.T[:, :, None] * np.ones(len(apart))
    X = np.stack(
        [first, (1.0 - apart) * first + np.sqrt(1.0 - (1.0 - apart) ** 2) * second], axis=2
    )
    use = np.ones(y.shape, dtype=bool)
    shift = shift_of(X, y, use, "asset")
    b, *_, sound = ridge_of_units(moments(X, y, use, shift, by_date=False), shift[0], 1.0, False)
    by_eigenvalues = apart > KEPT_DIGITS * (2.0 - apart)
    assert sound.tolist() == by_eigenvalues.tolist() == [False, False, True, True, True]
    assert not (apart > 4 * KEPT_DIGITS)[2], "the bound alone would not tell"
    for i in np.flatnonzero(sound):
        theirs = Ridge(1.0, solver="svd").fit(X[:, i], y[:, i])
        np.testing.assert_allclose(b[i, 1:], theirs.coef_, rtol=SLOPES["ridge"], atol=1e-15)


def test_levels_without_rows_have_no_slope_among_many() -> None:
    T, N, G = 40, 60, 30
    y, X = random_arrays(13, T, N, 3)
    panel = panel_of(y, X)
    sector = np.array([f"s{i % G:02d}" for i in range(N)])
    valid = panel.valid & ~np.isin(sector, ["s05", "s17", "s29"])
    panel = replace(panel, valid=valid, groups=pd.DataFrame({"sector": sector}, index=panel.assets))
    model = Regression(
        by=None, estimator="ridge", penalty=1.0, standardise=False, dummies=["sector"]
    )
    found = model.fit(panel, np.arange(T)).coefficients.set_index("term")["estimate"]
    absent = [f"sector:{one}" for one in ("s05", "s17", "s29")]
    assert found[absent].tolist() == [0.0] * 3 and (found.drop(absent) != 0.0).all()


@pytest.mark.parametrize("units", [1, FEW, FEW + 1, 40])
def test_triangles_of_few_units_are_those_of_many(units: int) -> None:
    rng = np.random.default_rng(units)
    Z = rng.normal(size=(units, 30, 6))
    A = np.einsum("uij,uik->ujk", Z, Z)
    W = half_inverse(A)
    assert W.shape == (6, 6, units)
    inverse = np.einsum("kiu,kju->uij", W, W)
    np.testing.assert_allclose(inverse @ A, np.broadcast_to(np.eye(6), A.shape), atol=1e-11)
    with np.errstate(invalid="ignore"):
        indefinite = half_inverse(np.repeat(np.diag([1.0, -1.0])[None], units, axis=0))
    assert np.isnan(indefinite).any(axis=(0, 1)).all()
