"""Least squares of one unit: against exact fractions and statsmodels, and what it refuses (test_nist: certified)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK, close, design, ols, random_arrays, rational, term_names

from runner.numerics.covariance import nonrobust
from runner.numerics.inference import infer
from runner.numerics.least_squares import LARGEST, NotEstimable, Solution, solve


def errors(fit: Solution) -> np.ndarray:
    return np.sqrt(np.diag(nonrobust(fit, 0)))


def sample(seed: int, n: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    y, X = random_arrays(seed, n, 1, columns)
    return X[:, 0], y[:, 0]


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(0, 4), st.booleans(), st.data())
def test_agrees_with_exact_fractions_at_every_scale(
    seed: int, columns: int, constant: bool, data: st.DataObject
) -> None:
    constant = constant or columns == 0
    X, y = sample(seed, data.draw(st.integers(8, 16)), columns)
    powers = data.draw(st.lists(st.integers(-8, 8), min_size=columns, max_size=columns))
    X, y = design(X * 10.0 ** np.array(powers), constant), y * 10.0 ** data.draw(st.integers(-8, 8))
    fit = solve(X, y, term_names(columns, constant), constant)
    b, inverse, ssr = rational(X, y)
    scale = errors(fit)
    close(fit.b / scale, np.array([float(v) for v in b]) / scale, "estimates in errors")
    close(fit.ssr / fit.tss, float(ssr) / fit.tss, "sum of squared residuals")
    length = np.linalg.norm(X, axis=0)
    exact = np.array([[float(v) for v in row] for row in inverse])
    close(fit.bread * np.outer(length, length), exact * np.outer(length, length), "inverse of X'X")


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.booleans(), st.data())
def test_scales_of_columns_do_not_matter(
    seed: int, columns: int, constant: bool, data: st.DataObject
) -> None:
    """statsmodels runs on plain columns, mapped back: it loses digits itself where scales differ by 1e16."""
    X, y = sample(seed, data.draw(st.integers(12, 200)), columns)
    scale = 10.0 ** np.array(
        data.draw(st.lists(st.integers(-8, 8), min_size=columns, max_size=columns))
    )
    fit = solve(design(X * scale, constant), y, term_names(columns, constant), constant)
    oracle = ols(design(X, constant), y, constant)
    back = np.append(1.0, scale) if constant else scale
    close(fit.b * back, oracle.params, "estimates", floor=1e-9 * oracle.bse.max())
    close(errors(fit) * back, oracle.bse, "errors")
    close(fit.ssr, oracle.ssr, "ssr")


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(0, 4), st.booleans(), st.data())
def test_quality_is_that_of_statsmodels(
    seed: int, columns: int, constant: bool, data: st.DataObject
) -> None:
    constant = constant or columns == 0
    k = columns + constant
    X, y = sample(seed, data.draw(st.integers(k + 1, 120)), columns)
    fit = solve(design(X, constant), y, term_names(columns, constant), constant)
    oracle = ols(fit.X, y, constant)
    close(fit.u, oracle.resid, "residuals", floor=1e-11)
    close(fit.leverage, oracle.get_influence().hat_matrix_diag, "leverage")
    close(fit.ssr, oracle.ssr, "ssr")
    close(fit.tss, oracle.centered_tss if constant else oracle.uncentered_tss, "tss")
    close(fit.r2, oracle.rsquared, "r2")
    assert (fit.n, fit.df) == (oracle.nobs, oracle.df_resid)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("df", [1, 2, 7, 30, 251, 5000])
def test_inference_is_student_t(df: int, confidence: float) -> None:
    from scipy import stats

    t = np.array([-40.0, -3.0, -1e-6, 0.0, 0.3, 1.9, 2.1, 8.0, 40.0])
    error = np.linspace(0.5, 2.0, len(t))
    got = infer(t * error, np.diag(error**2), df, confidence)
    half = stats.t.ppf(0.5 + confidence / 2.0, df) * error
    close(got.std_error, error, "errors")
    close(got.t_stat, t, "t")
    close(got.p_value, 2.0 * stats.t.sf(np.abs(t), df), "p", floor=0.0)
    close(got.ci_low, t * error - half, "low")
    close(got.ci_high, t * error + half, "high")


def refused(X: np.ndarray, y: np.ndarray, constant: bool = True) -> str:
    with pytest.raises(NotEstimable) as error:
        solve(design(X, constant), y, term_names(X.shape[1], constant), constant)
    return str(error.value)


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("columns", [1, 3])
def test_one_row_too_few_and_exactly_enough(columns: int, constant: bool) -> None:
    k = columns + constant
    X, y = sample(1, k + 1, columns)
    assert refused(X[:k], y[:k], constant) == f"{k} rows for {k} terms; needs at least {k + 1}"
    fit = solve(design(X, constant), y, term_names(columns, constant), constant)
    assert fit.df == 1 and np.isfinite(errors(fit)).all()


def test_no_rows_at_all() -> None:
    assert refused(np.empty((0, 2)), np.empty(0)) == "0 rows for 3 terms; needs at least 4"


def test_a_constant_target() -> None:
    X, y = sample(2, 20, 2)
    assert refused(X, np.full(20, 0.1)) == "the target is constant"
    assert refused(X, np.where(y > 0, 0.3, 0.1 + 0.2)) == "the target is constant", (
        "0.1 + 0.2 is 0.3 but for rounding"
    )


def test_constant_columns_are_named() -> None:
    X, y = sample(3, 20, 4)
    X[:, 1] = 7.0
    assert refused(X, y) == "x1 is constant"
    X[:, 3] = np.where(y > 0, 0.3, 0.1 + 0.2)
    assert refused(X, y) == "x1, x3 are constant"
    X[:, 1:] = X[:, [0, 1, 0]]
    X[:, 3] = 0.0
    assert refused(X[:, [0, 3]], y, constant=False) == "x1 is constant"


def test_a_level_is_no_flaw_without_a_constant() -> None:
    X, y = sample(4, 20, 2)
    X[:, 1] = 1.0
    fit = solve(X, y, ["x0", "x1"], constant=False)
    oracle = ols(X, y, constant=False)
    close(fit.b, oracle.params, "estimates")
    close(fit.r2, 1.0 - oracle.ssr / oracle.uncentered_tss, "r2 about zero")


@QUICK
@given(
    st.integers(0, 2**32 - 1), st.lists(st.integers(-8, 8), min_size=5, max_size=5), st.booleans()
)
def test_collinear_columns_are_named_and_the_others_not(
    seed: int, powers: list[int], constant: bool
) -> None:
    X, y = sample(seed, 40, 5)
    X[:, 3] = X[:, 0] - 2.0 * X[:, 1]
    reason = refused(X * 10.0 ** np.array(powers), y, constant)
    assert reason == "collinear: x0, x1, x3"


def test_two_relations_name_the_columns_of_both() -> None:
    X, y = sample(5, 40, 5)
    X[:, 2:4] = X[:, :2] * [2.0, -3.0]
    assert refused(X, y) == "collinear: x0, x1, x2, x3"
    X[:, 3] += 1e-12 * y**2  # so that one of the two is the worse
    assert refused(X, y) == "collinear: x0, x1, x2, x3"


def test_dummies_that_sum_to_the_constant() -> None:
    dummies = np.eye(4)[np.arange(20) % 4]
    _, y = sample(6, 20, 1)
    assert refused(dummies, y) == "collinear: const, x0, x1, x2, x3"
    assert solve(dummies, y, term_names(4, constant=False), constant=False).df == 16


def test_nearly_collinear_columns_are_solved() -> None:
    X, _ = sample(7, 100, 2)
    X[:, 1] = X[:, 0] + 1e-6 * X[:, 1]
    y = X @ [1.0, 1.0] + np.random.default_rng(0).normal(size=100)
    fit = solve(design(X, constant=True), y, term_names(2, constant=True), constant=True)
    b, inverse, _ = rational(fit.X, y)
    # Rounding of size 1e-16 times a condition number of 2e6: nine digits of the estimates.
    close(fit.b, [float(v) for v in b], "estimates", rel=1e-8, floor=0.0)
    close(
        np.diag(fit.bread), [float(inverse[i][i]) for i in range(3)], "inverse", rel=1e-8, floor=0.0
    )


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.booleans(), st.data())
def test_an_exact_fit_is_known_as_one(
    seed: int, columns: int, constant: bool, data: st.DataObject
) -> None:
    X, _ = sample(seed, data.draw(st.integers(12, 60)), columns)
    scale = 10.0 ** np.array(
        data.draw(st.lists(st.integers(-8, 8), min_size=columns, max_size=columns))
    )
    level = data.draw(st.sampled_from([0.0, 1e3, 1e6]))
    truth = np.random.default_rng(seed).uniform(1.0, 2.0, size=columns + constant)
    truth[constant:] /= scale
    X = design((X + level) * scale, constant)
    fit = solve(X, X @ truth, term_names(columns, constant), constant)
    assert fit.exact
    # Rounding of the target, 1e-16, times a condition number of the level, times some for the number of rows.
    close(
        fit.b[constant:] * scale,
        truth[constant:] * scale,
        "slopes",
        rel=1e-13 * max(level, 100.0),
        floor=0.0,
    )


def test_an_exact_fit_of_ill_conditioned_columns_is_known_as_one() -> None:
    X, _ = sample(8, 200, 3)
    X[:, 2] = X[:, 0] + X[:, 1] + 1e-9 * X[:, 2]
    X = design(X, constant=True)
    assert solve(X, X @ [1.0, 2.0, 3.0, 4.0], term_names(3, constant=True), constant=True).exact


def test_a_small_residual_is_not_an_exact_fit() -> None:
    X, _ = sample(9, 50, 2)
    noise = np.random.default_rng(1).normal(size=50)
    X = design(X, constant=True)
    fit = solve(X, X @ [1.0, 2.0, 3.0] + 1e-9 * noise, term_names(2, constant=True), constant=True)
    assert not fit.exact
    # Residuals of 1e-9 from numbers of size 1 keep seven digits.
    close(fit.ssr, ols(X, 1e-9 * noise, constant=True).ssr, "ssr", rel=1e-6, floor=0.0)


@pytest.mark.parametrize("power", [-300, -160, -71, 71, 160, 300])
def test_outsized_numbers_are_refused_by_name(power: int) -> None:
    X, y = sample(10, 30, 2)
    assert refused(X, y * 10.0**power).startswith("the target is of size")
    assert refused(X * [1.0, 10.0**power], y).startswith("x1 is of size")


def test_large_numbers_within_the_limit_are_solved() -> None:
    X, y = sample(11, 30, 2)
    big = LARGEST / 1e3
    fit = solve(
        design(X * [big, 1 / big], constant=True),
        y * big,
        term_names(2, constant=True),
        constant=True,
    )
    oracle = ols(design(X, constant=True), y, constant=True)
    close(fit.b / [big, 1.0, big**2], oracle.params, "estimates", floor=0.0)
    close(fit.r2, oracle.rsquared, "r2")
