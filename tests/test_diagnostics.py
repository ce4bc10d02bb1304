"""Diagnostics against statsmodels, and where they have no answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from oracles import FLOOR, P_FLOOR, QUICK, close, design, ols, random_arrays, shapes, term_names
from statsmodels.stats.diagnostic import (
    acorr_breusch_godfrey,
    acorr_ljungbox,
    het_arch,
    het_breuschpagan,
    het_white,
)
from statsmodels.stats.outliers_influence import variance_inflation_factor
from statsmodels.stats.stattools import durbin_watson, jarque_bera

from runner.numerics.diagnostics import (
    STEADY,
    Diagnostic,
    breusch_godfrey,
    breusch_pagan,
    condition_number,
    diagnose,
    white,
)
from runner.numerics.least_squares import Solution, solve


def solved(seed: int, n: int, columns: int, constant: bool = True) -> Solution:
    y, X = random_arrays(seed, n, 1, columns)
    return solve(design(X[:, 0], constant), y[:, 0], term_names(columns, constant), constant)


def diagnosed(fit: Solution, terms: list[str]) -> dict[str, Diagnostic]:
    """Diagnostics by name, and by name and term for those of a term."""
    return {f"{d.diagnostic} {d.term}".strip(): d for d in diagnose(fit.X, fit.u, terms)}


def expected(fit: Solution, terms: list[str], lags: int) -> dict[str, tuple[float, float]]:
    """Statistic and p-value of each diagnostic as statsmodels has it."""
    jb, jb_p, skew, kurtosis = jarque_bera(fit.u)
    oracle = ols(fit.X, fit.X @ fit.b + fit.u, fit.constant)
    none = float("nan")
    found = {
        "jarque_bera": (jb, jb_p),
        "skew": (skew, none),
        "kurtosis": (kurtosis, none),
        "durbin_watson": (durbin_watson(fit.u), none),
        "breusch_godfrey": acorr_breusch_godfrey(oracle, nlags=lags, result_object=False)[:2],
        "ljung_box": tuple(acorr_ljungbox(fit.u, lags=[lags]).iloc[0]),
        "arch_lm": het_arch(fit.u, nlags=lags, result_object=False)[:2],
        "condition_number": (oracle.condition_number, none),
    }
    if fit.constant and fit.X.shape[1] > 1:
        found["breusch_pagan"] = het_breuschpagan(fit.u, fit.X)[:2]
        found["white"] = het_white(fit.u, fit.X)[:2]
    if fit.X.shape[1] - fit.constant > 1:
        slopes = [j for j, term in enumerate(terms) if term != "const"]
        # Its default centres the columns even where the regression has no constant.
        found |= {
            f"vif {terms[j]}": (variance_inflation_factor(fit.X, j, standardize=False), none)
            for j in slopes
        }
    return found


@QUICK
@given(shapes(most_rows=200))
def test_every_diagnostic_is_that_of_statsmodels(shape: dict[str, Any]) -> None:
    fit = solved(shape["seed"], shape["T"], shape["K"], shape["constant"])
    terms = term_names(shape["K"], shape["constant"])
    lags = min(10, fit.n // 5)
    got = diagnosed(fit, terms)
    for name, (statistic, p_value) in expected(fit, terms, lags).items():
        # n R^2 is n times a number that may be zero.
        close(got[name].statistic, statistic, name, floor=FLOOR * fit.n)
        close(got[name].p_value, p_value, f"p of {name}", floor=P_FLOOR)
        assert got[name].reason == ""
        assert (got[name].df is None) == np.isnan(p_value)


def test_names_and_order() -> None:
    fit = solved(1, 60, 2)
    assert list(diagnosed(fit, ["const", "x0", "x1"])) == [
        *(
            "jarque_bera",
            "skew",
            "kurtosis",
            "breusch_pagan",
            "white",
            "durbin_watson",
            "breusch_godfrey",
        ),
        *("ljung_box", "arch_lm", "vif x0", "vif x1", "condition_number"),
    ]
    assert {name: d.df for name, d in diagnosed(fit, ["const", "x0", "x1"]).items() if d.df} == {
        **{"jarque_bera": 2, "breusch_pagan": 2, "white": 5},
        **{"breusch_godfrey": 10, "ljung_box": 10, "arch_lm": 10},
    }


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")
def test_dummies_leave_white_fewer_products() -> None:
    """The square of a dummy is the dummy, and two dummies have no product."""
    y, X = random_arrays(2, 90, 1, 1)
    dummies = np.eye(3)[np.arange(90) % 3][:, 1:]
    X = design(np.column_stack([X[:, 0], dummies]), constant=True)
    fit = solve(X, y[:, 0], term_names(3, constant=True), constant=True)
    got = white(X, fit.u, term_names(3, constant=True))
    lm, p = het_white(fit.u, X)[:2]
    close(got.statistic, lm, "white")
    close(got.p_value, p, "p of white")
    assert got.df == 6, "x, x^2, two dummies and x times each"


@QUICK
@given(shapes())
def test_units_of_the_columns_do_not_matter(shape: dict[str, Any]) -> None:
    """A market capitalisation of 1e12 beside a return of 1e-3: the answer is that of plain columns."""
    fit = solved(shape["seed"], shape["T"], max(shape["K"], 1))
    terms, lags = term_names(max(shape["K"], 1), constant=True), min(10, fit.n // 5)
    rng = np.random.default_rng(shape["seed"])
    X = fit.X * np.append(1.0, 10.0 ** rng.uniform(-14, 14, size=len(terms) - 1))
    for test in (breusch_pagan, white):
        close(
            test(X, fit.u, terms).statistic,
            test(fit.X, fit.u, terms).statistic,
            test.__name__,
            floor=1e-10,
        )
        assert test(X, fit.u, terms).df == test(fit.X, fit.u, terms).df
    plain = breusch_godfrey(fit.X, fit.u, lags)
    close(
        breusch_godfrey(X, fit.u, lags).statistic, plain.statistic, "breusch_godfrey", floor=1e-10
    )
    close(
        breusch_godfrey(X, fit.u * 1e-9, lags).statistic,
        plain.statistic,
        "breusch_godfrey",
        floor=1e-10,
    )
    for got, asked in zip(diagnose(X, fit.u, terms), diagnose(fit.X, fit.u, terms), strict=True):
        if got.diagnostic == "vif":
            close(got.statistic, asked.statistic, "vif")


@pytest.mark.parametrize("level", [1e3, 1e5, 1e7])
def test_levels_of_the_columns_do_not_matter(level: float) -> None:
    fit = solved(3, 200, 3)
    X, terms = fit.X + np.array([0.0, level, level, 0.0]), term_names(3, constant=True)
    for test in (breusch_pagan, white):
        shifted, plain = test(X, fit.u, terms), test(fit.X, fit.u, terms)
        # A level leaves the columns 16 - log10(level) digits.
        close(shifted.statistic, plain.statistic, test.__name__, rel=1e-14 * level)
        assert shifted.df == plain.df


def test_vif_closed_forms() -> None:
    x = np.array([1.0, -1.0, 1.0, -1.0, 0.0, 0.0])
    z = np.array([1.0, 1.0, -1.0, -1.0, 0.0, 0.0])
    X = design(np.column_stack([x, z]), constant=True)
    noise = np.array([1.0, 2.0, 0.0, -1.0, 3.0, 5.0])
    vif = [d.statistic for d in diagnose(X, noise, ["const", "x", "z"]) if d.diagnostic == "vif"]
    close(vif, [1.0, 1.0], "orthogonal columns")
    X = design(np.column_stack([x, x + z]), constant=True)
    vif = [d.statistic for d in diagnose(X, noise, ["const", "x", "z"]) if d.diagnostic == "vif"]
    close(vif, [2.0, 2.0], "a correlation of one half, squared")
    assert condition_number(np.diag([4.0, 2.0, 0.5])).statistic == 8.0


def test_without_a_constant_variances_are_not_tested() -> None:
    fit = solved(4, 40, 2, constant=False)
    got = diagnosed(fit, ["x0", "x1"])
    for name in ("breusch_pagan", "white"):
        assert got[name].reason == "needs a constant and a regressor"
        assert (
            np.isnan(got[name].statistic) and np.isnan(got[name].p_value) and got[name].df is None
        )


def test_with_a_constant_alone() -> None:
    fit = solved(5, 40, 0)
    got = diagnosed(fit, ["const"])
    assert {name for name, d in got.items() if d.reason} == {"breusch_pagan", "white"}
    assert not [name for name in got if name.startswith("vif")]
    assert got["condition_number"].statistic == 1.0


@pytest.mark.parametrize("n", [3, 4, 5, 6, 9, 12])
def test_few_rows_give_numbers_or_reasons(n: int) -> None:
    fit = solved(6, n, 1)
    for name, d in diagnosed(fit, ["const", "x0"]).items():
        assert bool(d.reason) == bool(np.isnan(d.statistic)), name
        assert not np.isinf(d.statistic), name
    if n < 5:
        got = diagnosed(fit, ["const", "x0"])
        assert {got[name].reason for name in ("breusch_godfrey", "ljung_box", "arch_lm")} == {
            f"{n} rows are too few"
        }


def test_more_products_than_rows() -> None:
    fit = solved(7, 15, 4)
    assert diagnosed(fit, term_names(4, constant=True))["white"].reason == "15 products for 15 rows"
    assert diagnosed(solved(7, 16, 4), term_names(4, constant=True))["white"].reason == ""


def test_residuals_of_one_size_have_no_test_of_their_squares() -> None:
    y = np.tile([1.0, -1.0, -1.0, 1.0], 10)
    x = np.tile([1.0, 1.0, -1.0, -1.0], 10)
    fit = solve(design(x[:, None], constant=True), y, ["const", "x0"], constant=True)
    close(fit.u, y, "x explains nothing of y")
    got = diagnosed(fit, ["const", "x0"])
    assert {name for name, d in got.items() if d.reason} == {"breusch_pagan", "white", "arch_lm"}
    assert {d.reason for d in got.values()} == {"", STEADY}


def test_residuals_that_are_one_number_have_no_shape() -> None:
    """Without a constant, a target of x + 1 where x sums to zero leaves residuals of 1."""
    x = np.tile([1.0, -1.0, 2.0, -2.0], 10)
    fit = solve(x[:, None], x + 1.0, ["x0"], constant=False)
    got = diagnosed(fit, ["x0"])
    for name in ("jarque_bera", "skew", "kurtosis", "ljung_box", "arch_lm", "breusch_godfrey"):
        assert got[name].reason == STEADY, name
