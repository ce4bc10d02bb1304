"""Errors of the estimates and tests of restrictions under every kind of covariance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from oracles import (
    ERRORS,
    P_FLOOR,
    QUICK,
    close,
    design,
    newey_west,
    ols,
    random_arrays,
    shapes,
    term_names,
)

from runner.estimators.standard_errors import own
from runner.numerics.covariance import default_lags, hac, hc0, hc1, hc2, hc3, long_run, nonrobust
from runner.numerics.inference import infer, wald
from runner.numerics.least_squares import NotEstimable, Solution, solve
from runner.numerics.restrictions import Restriction, all_slopes


def solved(seed: int, n: int, columns: int, constant: bool = True) -> Solution:
    y, X = random_arrays(seed, n, 1, columns)
    return solve(design(X[:, 0], constant), y[:, 0], term_names(columns, constant), constant)


@QUICK
@given(shapes())
def test_every_error_type_is_that_of_statsmodels(shape: dict[str, Any]) -> None:
    fit = solved(shape["seed"], shape["T"], shape["K"], shape["constant"])
    y = fit.X @ fit.b + fit.u
    for cov in ERRORS:
        lags = shape["lags"]
        oracle = ols(fit.X, y, shape["constant"], cov, lags)
        V = own(cov)(fit, lags)
        size = np.sqrt(np.diag(V))
        close(
            V / np.outer(size, size),
            oracle.cov_params() / np.outer(size, size),
            f"{cov} covariance",
        )
        got = infer(fit.b, V, fit.df, 0.9)
        close(got.std_error / size, oracle.bse / size, f"{cov} errors")
        close(got.t_stat, oracle.tvalues, f"{cov} t")
        close(got.p_value, oracle.pvalues, f"{cov} p", floor=P_FLOOR)
        interval = oracle.conf_int(alpha=0.1)
        close(got.ci_low / size, interval[:, 0] / size, f"{cov} low")
        close(got.ci_high / size, interval[:, 1] / size, f"{cov} high")


@QUICK
@given(shapes())
def test_wald_tests_are_those_of_statsmodels(shape: dict[str, Any]) -> None:
    fit = solved(shape["seed"], shape["T"], shape["K"], shape["constant"])
    rng, k = np.random.default_rng(shape["seed"]), len(fit.b)
    terms = term_names(shape["K"], shape["constant"])
    oracle = ols(fit.X, fit.X @ fit.b + fit.u, shape["constant"], shape["cov"], shape["lags"])
    V = own(shape["cov"])(fit, shape["lags"])
    for m in range(1, k + 1):
        R, q = rng.integers(-3, 4, size=(m, k)).astype(float), rng.normal(size=m)
        if np.linalg.matrix_rank(R) < m:
            continue
        got, expected = (
            wald(fit.b, V, fit.df, Restriction("R b = q", terms, R, q)),
            oracle.f_test((R, q)),
        )
        close(got.f_stat, expected.fvalue, f"F of {m}")
        close(got.p_value, expected.pvalue, f"p of {m}", floor=P_FLOOR)
        assert (got.df_num, got.df_den) == (expected.df_num, expected.df_denom)
    if shape["K"]:
        overall = wald(fit.b, V, fit.df, all_slopes(terms))
        close(overall.f_stat, oracle.fvalue, "F of all slopes")
        close(overall.p_value, oracle.f_pvalue, "p of all slopes", floor=P_FLOOR)


def test_the_square_of_t_is_f() -> None:
    fit = solved(1, 40, 3)
    V = hc1(fit, 0)
    t = infer(fit.b, V, fit.df, 0.95)
    for j, term in enumerate(term_names(3, constant=True)):
        one = wald(
            fit.b,
            V,
            fit.df,
            Restriction(term, term_names(3, constant=True), np.eye(4)[[j]], np.zeros(1)),
        )
        close(one.f_stat, t.t_stat[j] ** 2, term)
        close(one.p_value, t.p_value[j], term)


@pytest.mark.parametrize("lags", [0, 1, 2, 7, 18, 19])
def test_hac_is_the_double_sum_that_defines_it(lags: int) -> None:
    fit = solved(2, 20, 2)
    close(hac(fit, lags), newey_west(fit.X, fit.u, lags), f"{lags} lags")


@pytest.mark.parametrize("lags", [*range(18), 31, 32, 100])
@pytest.mark.parametrize("size", [1e-60, 1.0, 1e60])
def test_long_run_products_are_the_sum_that_defines_them(lags: int, size: float) -> None:
    scores = np.random.default_rng(lags).normal(size=(17, 3)) * [size, 1.0, size]
    distance = np.abs(np.subtract.outer(np.arange(17), np.arange(17)))
    weights = np.maximum(1.0 - distance / (lags + 1.0), 0.0)
    sizes = np.sqrt((scores**2).sum(axis=0))
    got, expected = (
        V / np.outer(sizes, sizes) for V in (long_run(scores, lags), scores.T @ weights @ scores)
    )
    close(got, expected, f"{lags} lags")


def test_closed_forms() -> None:
    """The mean of a sample: every error type is a multiple of the deviations from it."""
    y = np.array([1.0, 2.0, 4.0, 9.0])
    fit = solve(np.ones((4, 1)), y, ["const"], constant=True)
    squares = 9.0 + 4.0 + 0.0 + 25.0
    close(nonrobust(fit, 0), [[squares / 3.0 / 4.0]], "s^2 / n")
    close(hc0(fit, 0), [[squares / 16.0]], "HC0")
    close(hc1(fit, 0), [[squares / 16.0 * 4.0 / 3.0]], "HC1: n / (n - 1)")
    close(hc2(fit, 0), [[squares / 16.0 / (1 - 1 / 4)]], "HC2: leverage 1/n")
    close(hc3(fit, 0), [[squares / 16.0 / (1 - 1 / 4) ** 2]], "HC3")
    close(hac(fit, 1), [[(squares + 2 * 0.5 * (6.0 + 0.0 + 0.0)) / 16.0]], "HAC of one lag")


def test_hc3_is_the_jackknife_but_for_its_centre() -> None:
    fit = solved(3, 25, 2)
    y = fit.X @ fit.b + fit.u
    without = [
        np.linalg.lstsq(np.delete(fit.X, i, 0), np.delete(y, i), rcond=None)[0] - fit.b
        for i in range(25)
    ]
    close(hc3(fit, 0), np.array(without).T @ np.array(without), "sum of squares of the changes")


def test_hac_of_no_lags_is_hc0() -> None:
    fit = solved(4, 30, 2)
    np.testing.assert_array_equal(hac(fit, 0), hc0(fit, 0))


@pytest.mark.parametrize("lags", [12, 13, 400])
def test_hac_needs_more_rows_than_lags(lags: int) -> None:
    with pytest.raises(
        NotEstimable, match=rf"^cov_lags={lags} with 12 rows; allowed: less than the rows$"
    ):
        hac(solved(5, 12, 1), lags)
    assert np.isfinite(hac(solved(5, 12, 1), 11)).all()


def with_dummy(constant: bool) -> Solution:
    """A regression with a dummy for one row, which it passes through exactly."""
    y, X = random_arrays(6, 30, 1, 1)
    dummy = np.zeros(30)
    dummy[4] = 1.0
    columns = np.column_stack([X[:, 0, 0] * (1.0 - dummy), dummy])
    return solve(design(columns, constant), y[:, 0], term_names(2, constant), constant)


@pytest.mark.parametrize("cov", ["HC2", "HC3"])
def test_a_row_of_leverage_one_has_no_hc2_and_hc3(cov: str) -> None:
    with pytest.raises(NotEstimable, match=r"^HC2 and HC3 do not exist: 1 rows have leverage 1$"):
        own(cov)(with_dummy(constant=True), 0)


@pytest.mark.parametrize("cov", ["HC0", "HC1", "HAC"])
def test_an_estimate_of_one_row_has_no_robust_error(cov: str) -> None:
    """Without a constant the dummy is that row's target; its residual, and so the plain sandwich, is zero."""
    with pytest.raises(
        NotEstimable, match="robust errors do not exist: an estimate rests on rows of leverage 1"
    ):
        own(cov)(with_dummy(constant=False), 2)
    assert (np.diag(nonrobust(with_dummy(constant=False), 0)) > 0.0).all()


@pytest.mark.parametrize("cov", ["HC0", "HC1", "HAC"])
def test_a_sum_without_variance_cannot_be_tested(cov: str) -> None:
    """With a constant the sum of the constant and the dummy is that row's target."""
    fit = with_dummy(constant=True)
    V = own(cov)(fit, 2)
    terms = ["const", "x0", "x1"]
    for R in ([[1.0, 0.0, 1.0]], [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]):
        with pytest.raises(NotEstimable, match="the covariance of the tested terms is singular"):
            wald(fit.b, V, fit.df, Restriction("sum", terms, np.array(R), np.zeros(len(R))))
    assert (
        wald(fit.b, V, fit.df, Restriction("one", terms, np.eye(3)[[2]], np.zeros(1))).df_num == 1
    )


def test_a_sum_of_nearly_collinear_terms_can_be_tested() -> None:
    """x0 + x1 is known a thousand times better than either; that is no singularity."""
    y, X = random_arrays(7, 60, 1, 2)
    X[:, 0, 1] = X[:, 0, 0] + 1e-3 * X[:, 0, 1]
    fit = solve(
        design(X[:, 0], constant=True), y[:, 0], term_names(2, constant=True), constant=True
    )
    R = np.array([[0.0, 1.0, 1.0]])
    got = wald(
        fit.b, nonrobust(fit, 0), fit.df, Restriction("sum", ["const", "x0", "x1"], R, np.ones(1))
    )
    # The sum cancels three digits of each, its variance six: 1e-16 times the square of that.
    close(
        got.f_stat, ols(fit.X, y[:, 0], constant=True).f_test((R, np.ones(1))).fvalue, "F", rel=1e-8
    )


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_wald_does_not_depend_on_units(scale: float) -> None:
    y, X = random_arrays(8, 60, 1, 2)
    terms, units = term_names(2, constant=True), np.array([1.0, scale, 1.0 / scale])
    plain = solve(design(X[:, 0], constant=True), y[:, 0], terms, constant=True)
    scaled = solve(plain.X * units, y[:, 0], terms, constant=True)
    for fit in (plain, scaled):
        assert wald(fit.b, hc1(fit, 0), fit.df, all_slopes(terms)).df_num == 2
    a, b = (wald(fit.b, hc1(fit, 0), fit.df, all_slopes(terms)) for fit in (plain, scaled))
    close(b.f_stat, a.f_stat, "F")


@pytest.mark.parametrize(
    ("n", "lags"),
    [
        (2, 1),
        (6, 2),
        (28, 3),
        (27, 2),
        (99, 3),
        (100, 4),
        (272, 4),
        (273, 5),
        (620, 5),
        (621, 6),
        (1000, 6),
    ],
)
def test_default_lags_follow_the_rule(n: int, lags: int) -> None:
    assert default_lags(n, 1) == default_lags(n, 0) == lags


@pytest.mark.parametrize(("n", "lags"), [(100, 4), (51_200, 16), (1_968_300, 36)])
def test_default_lags_where_the_rule_is_a_whole_number(n: int, lags: int) -> None:
    """4 (n/100)^(2/9) is a whole number here, and float64 powers land just below it."""
    assert default_lags(n, 1) == lags
    assert default_lags(n - 1, 1) == lags - 1


def test_default_lags_are_the_floor_in_whole_numbers() -> None:
    for n in range(2, 20_000, 7):
        lags = default_lags(n, 1)
        if lags < n - 1:
            assert lags**9 * 100**2 <= 4**9 * n**2 < (lags + 1) ** 9 * 100**2


def test_default_lags_cover_the_overlap_and_stay_below_the_rows() -> None:
    assert default_lags(300, 21) == 20
    assert default_lags(300, 5) == 5, "the rule is more than the overlap of 4"
    assert default_lags(10, 21) == 9
    assert default_lags(3, 1) == 1
