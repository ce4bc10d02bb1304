"""Least squares of one unit: against certified values, exact fractions and statsmodels, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK, close, design, ols, random_arrays, rational, term_names

from runner.covariance import nonrobust
from runner.inference import infer
from runner.least_squares import LARGEST, NotEstimable, Solution, solve

# Digits of the NIST reference sets (itl.nist.gov/div898/strd) that must come out; reached are 10.8, 7.8 and 9.5.
# float64 leaves about 16 - log10(condition) digits, less some for the sums; the condition numbers of the unit-length
# columns are 4e4, 5e9 and 2e3. Filip's powers rounded to float64 have, in exact fractions, 7.9 digits of the
# certified values in common: no algorithm on float64 columns gives more.
LONGLEY_DIGITS, FILIP_DIGITS, WAMPLER_DIGITS = 10, 7, 9
LONGLEY = {
    "const": (-3482258.63459582, 890420.383607373),
    "GNPDEFL": (15.0618722713733, 84.9149257747669),
    "GNP": (-0.358191792925910e-01, 0.334910077722432e-01),
    "UNEMP": (-2.02022980381683, 0.488399681651699),
    "ARMED": (-1.03322686717359, 0.214274163161675),
    "POP": (-0.511041056535807e-01, 0.226073200069370),
    "YEAR": (1829.15146461355, 455.478499142212),
}
FILIP = [
    (-1467.48961422980, 298.084530995537),
    (-2772.17959193342, 559.779865474950),
    (-2316.37108160893, 466.477572127796),
    (-1127.97394098372, 227.204274477751),
    (-354.478233703349, 71.6478660875927),
    (-75.1242017393757, 15.2897178747400),
    (-10.8753180355343, 2.23691159816033),
    (-1.06221498588947, 0.221624321934227),
    (-0.670191154593408e-01, 0.142363763154724e-01),
    (-0.246781078275479e-02, 0.535617408889821e-03),
    (-0.402962525080404e-04, 0.896632837373868e-05),
]
# fmt: off
FILIP_X = [
    -6.860120914, -4.324130045, -4.358625055, -4.358426747, -6.955852379, -6.661145254, -6.355462942, -6.118102026,
    -7.115148017, -6.815308569, -6.519993057, -6.204119983, -5.853871964, -6.109523091, -5.79832982, -5.482672118,
    -5.171791386, -4.851705903, -4.517126416, -4.143573228, -3.709075441, -3.499489089, -6.300769497, -5.953504836,
    -5.642065153, -5.031376979, -4.680685696, -4.329846955, -3.928486195, -8.56735134, -8.363211311, -8.107682739,
    -7.823908741, -7.522878745, -7.218819279, -6.920818754, -6.628932138, -6.323946875, -5.991399828, -8.781464495,
    -8.663140179, -8.473531488, -8.247337057, -7.971428747, -7.676129393, -7.352812702, -7.072065318, -6.774174009,
    -6.478861916, -6.159517513, -6.835647144, -6.53165267, -6.224098421, -5.910094889, -5.598599459, -5.290645224,
    -4.974284616, -4.64454848, -4.290560426, -3.885055584, -3.408378962, -3.13200249, -8.726767166, -8.66695597,
    -8.511026475, -8.165388579, -7.886056648, -7.588043762, -7.283412422, -6.995678626, -6.691862621, -6.392544977,
    -6.067374056, -6.684029655, -6.378719832, -6.065855188, -5.752272167, -5.132414673, -4.811352704, -4.098269308,
    -3.66174277, -3.2644011,
]
FILIP_Y = [
    0.8116, 0.9072, 0.9052, 0.9039, 0.8053, 0.8377, 0.8667, 0.8809, 0.7975, 0.8162, 0.8515, 0.8766, 0.8885, 0.8859,
    0.8959, 0.8913, 0.8959, 0.8971, 0.9021, 0.9090, 0.9139, 0.9199, 0.8692, 0.8872, 0.8900, 0.8910, 0.8977, 0.9035,
    0.9078, 0.7675, 0.7705, 0.7713, 0.7736, 0.7775, 0.7841, 0.7971, 0.8329, 0.8641, 0.8804, 0.7668, 0.7633, 0.7678,
    0.7697, 0.7700, 0.7749, 0.7796, 0.7897, 0.8131, 0.8498, 0.8741, 0.8061, 0.8460, 0.8751, 0.8856, 0.8919, 0.8934,
    0.8940, 0.8957, 0.9047, 0.9129, 0.9209, 0.9219, 0.7739, 0.7681, 0.7665, 0.7703, 0.7702, 0.7761, 0.7809, 0.7961,
    0.8253, 0.8602, 0.8809, 0.8301, 0.8664, 0.8834, 0.8898, 0.8964, 0.8963, 0.9074, 0.9119, 0.9228,
]
# fmt: on


def digits(actual: np.ndarray, certified: np.ndarray) -> float:
    """Fewest decimal digits in which the two agree."""
    return float(-np.log10(np.maximum(np.abs(actual / certified - 1.0), 1e-16).max()))


def errors(fit: Solution) -> np.ndarray:
    return np.sqrt(np.diag(nonrobust(fit, 0)))


def sample(seed: int, n: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    y, X = random_arrays(seed, n, 1, columns)
    return X[:, 0], y[:, 0]


def test_longley_certified() -> None:
    data = sm.datasets.longley.load_pandas()
    X = design(data.exog.to_numpy(), constant=True)
    fit = solve(X, data.endog.to_numpy(dtype=float), ["const", *data.exog.columns], constant=True)
    assert list(LONGLEY) == ["const", *data.exog.columns]
    certified = np.array(list(LONGLEY.values()))
    assert digits(fit.b, certified[:, 0]) >= LONGLEY_DIGITS
    assert digits(errors(fit), certified[:, 1]) >= LONGLEY_DIGITS
    assert digits(np.array([fit.ssr, fit.r2]), np.array([836424.055505915, 0.995479004577296])) >= LONGLEY_DIGITS


def test_filip_certified() -> None:
    X, certified = np.vander(FILIP_X, 11, increasing=True), np.array(FILIP)
    fit = solve(X, np.array(FILIP_Y), term_names(10, constant=True), constant=True)
    assert digits(fit.b, certified[:, 0]) >= FILIP_DIGITS
    assert digits(errors(fit), certified[:, 1]) >= FILIP_DIGITS
    assert digits(np.array([fit.ssr, fit.r2]), np.array([0.795851382172941e-03, 0.996727416185620])) >= FILIP_DIGITS


def test_wampler_certified() -> None:
    X = np.vander(np.arange(21.0), 6, increasing=True)
    for truth in (np.ones(6), 10.0 ** -np.arange(6)):
        fit = solve(X, X @ truth, term_names(5, constant=True), constant=True)
        assert digits(fit.b, truth) >= WAMPLER_DIGITS
        assert fit.exact, "the errors of Wampler 1 and 2 are zero: what float64 leaves is noise"


def test_wampler3_certified() -> None:
    x = np.arange(21.0)
    sizes = [759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048, 2048]
    X, wiggle = np.vander(x, 6, increasing=True), np.array([*sizes, *sizes[-2::-1]], dtype=float)
    fit = solve(X, X.sum(axis=1) + wiggle, term_names(5, constant=True), constant=True)
    certified = [2152.32624678170, 2363.55173469681, 779.343524331583, 101.475507550350, 5.64566512170752]
    assert digits(errors(fit), np.array([*certified, 0.112324854679312])) >= WAMPLER_DIGITS
    assert digits(np.array([fit.ssr, fit.r2]), np.array([83554268.0, 0.999995559025820])) >= WAMPLER_DIGITS
    close(fit.b, np.ones(6), "estimates", floor=1e-8)  # certified: 1 each, out of errors of thousands


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
def test_scales_of_columns_do_not_matter(seed: int, columns: int, constant: bool, data: st.DataObject) -> None:
    """statsmodels runs on plain columns, mapped back: it loses digits itself where scales differ by 1e16."""
    X, y = sample(seed, data.draw(st.integers(12, 200)), columns)
    scale = 10.0 ** np.array(data.draw(st.lists(st.integers(-8, 8), min_size=columns, max_size=columns)))
    fit = solve(design(X * scale, constant), y, term_names(columns, constant), constant)
    oracle = ols(design(X, constant), y, constant)
    back = np.append(1.0, scale) if constant else scale
    close(fit.b * back, oracle.params, "estimates", floor=1e-9 * oracle.bse.max())
    close(errors(fit) * back, oracle.bse, "errors")
    close(fit.ssr, oracle.ssr, "ssr")


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(0, 4), st.booleans(), st.data())
def test_quality_is_that_of_statsmodels(seed: int, columns: int, constant: bool, data: st.DataObject) -> None:
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
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-8, 8), min_size=5, max_size=5), st.booleans())
def test_collinear_columns_are_named_and_the_others_not(seed: int, powers: list[int], constant: bool) -> None:
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
    close(np.diag(fit.bread), [float(inverse[i][i]) for i in range(3)], "inverse", rel=1e-8, floor=0.0)


@QUICK
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.booleans(), st.data())
def test_an_exact_fit_is_known_as_one(seed: int, columns: int, constant: bool, data: st.DataObject) -> None:
    X, _ = sample(seed, data.draw(st.integers(12, 60)), columns)
    scale = 10.0 ** np.array(data.draw(st.lists(st.integers(-8, 8), min_size=columns, max_size=columns)))
    level = data.draw(st.sampled_from([0.0, 1e3, 1e6]))
    truth = np.random.default_rng(seed).uniform(1.0, 2.0, size=columns + constant)
    truth[constant:] /= scale
    X = design((X + level) * scale, constant)
    fit = solve(X, X @ truth, term_names(columns, constant), constant)
    assert fit.exact
    # Rounding of the target, 1e-16, times a condition number of the level, times some for the number of rows.
    close(fit.b[constant:] * scale, truth[constant:] * scale, "slopes", rel=1e-13 * max(level, 100.0), floor=0.0)


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
    fit = solve(design(X * [big, 1 / big], constant=True), y * big, term_names(2, constant=True), constant=True)
    oracle = ols(design(X, constant=True), y, constant=True)
    close(fit.b / [big, 1.0, big**2], oracle.params, "estimates", floor=0.0)
    close(fit.r2, oracle.rsquared, "r2")
