"""The eleven linear least-squares sets of NIST (itl.nist.gov/div898/strd/lls), certified to 15 digits.

Each is fitted as one asset over time, as all cells of a panel, and beside a fixed effect, so that rows, moments and
within products are all asked. Digits are the least log relative error over the numbers of a kind.

Reached (estimates, errors, the worst of residual_std, R2 and F); statsmodels (pinv) where that is a digit less:
Norris 12.1 13.7 13.5; Pontius 11.7 13.2 12.9 (6.3 9.2); NoInt1 14.7 15 15; NoInt2 15 15 15; Longley 10.9 12.3 12.4;
Filip 7.4 7.5 7.8 (0 0); Wampler1 9.4; Wampler2 12.6 (10.4); Wampler3 9.2 13.5 13.8 (9.2 10.4); Wampler4 7.6 13.6 14.8
(7.8 10.4); Wampler5 5.6 13.6 13.7 (5.8 10.4).
"""

from __future__ import annotations

import warnings
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
import statsmodels.api as sm
from oracles import design, panel_of, rational

from runner.errors import EstimationError
from runner.estimators.estimation import EXACT
from runner.models.fit import Fit
from runner.models.regression import Regression
from runner.numerics.moments import moments, shift_of
from runner.numerics.normal_equations import solve_moments
from runner.panels.panel import Panel


class Certified(NamedTuple):
    """Regressors X (n, K), the constant not among them, target y (n,), and what NIST certifies of them: estimates and
    their standard deviations (the constant first), residual standard deviation, R2 and F."""

    X: np.ndarray
    y: np.ndarray
    b: list[float]
    error: list[float]
    residual_std: float
    r2: float
    f: float
    constant: bool = True


class Digits(NamedTuple):
    """Fewest correct digits of the estimates, of their errors, and of residual_std, R2 and F."""

    b: int
    error: int
    quality: int


# Asserted: what is reached less a half, since sums differ between machines, rounded down. float64 leaves about
# 16 - log10(condition) digits, less some for the sums. Condition numbers of the unit-length columns: Norris 3,
# Pontius 2e1, Longley 4e4, Wampler 2e3, Filip 5e9. Filip's powers rounded to float64 have, in exact fractions, 7.6
# digits of the certified values in common: no algorithm on float64 columns gives more, and 7 it must be. Wampler 4
# and 5 have estimates of 1 out of a target of 1e5 and 1e7, which costs 2 and 4 digits more than Wampler 3.
DIGITS = {
    "Norris": Digits(11, 13, 13),
    "Pontius": Digits(11, 12, 12),
    "NoInt1": Digits(14, 14, 14),
    "NoInt2": Digits(14, 14, 14),
    "Longley": Digits(10, 11, 11),
    "Filip": Digits(7, 7, 7),
    "Wampler1": Digits(
        8, 0, 0
    ),  # no errors, tests or residual: they fit exactly, what float64 leaves is noise
    "Wampler2": Digits(12, 0, 0),
    "Wampler3": Digits(8, 13, 13),
    "Wampler4": Digits(7, 13, 13),
    "Wampler5": Digits(5, 13, 13),
}
# What the data's own rounding to float64, in exact fractions, has in common with the certified values: all digits,
# but for Filip.
OF_THE_DATA = 13

# fmt: off
NORRIS = [  # y, x
    0.1, 0.2, 338.8, 337.4, 118.1, 118.2, 888.0, 884.6, 9.2, 10.1, 228.1, 226.5, 668.5, 666.3, 998.5, 996.3,
    449.1, 448.6, 778.9, 777.0, 559.2, 558.2, 0.3, 0.4, 0.1, 0.6, 778.1, 775.5, 668.8, 666.9, 339.3, 338.0, 448.9,
    447.5, 10.8, 11.6, 557.7, 556.0, 228.3, 228.1, 998.0, 995.8, 888.8, 887.6, 119.6, 120.2, 0.3, 0.3, 0.6, 0.3,
    557.6, 556.8, 339.3, 339.1, 888.0, 887.2, 998.5, 999.0, 778.9, 779.0, 10.2, 11.1, 117.6, 118.3, 228.9, 229.2,
    668.4, 669.1, 449.2, 448.9, 0.2, 0.5,
]
PONTIUS = [  # y at x = 150000, 300000, ..., 3000000, twice
    .11019, .21956, .32949, .43899, .54803, .65694, .76562, .87487, .98292, 1.09146, 1.20001, 1.30822, 1.41599,
    1.52399, 1.63194, 1.73947, 1.84646, 1.95392, 2.06128, 2.16844, .11052, .22018, .32939, .43886, .54798, .65739,
    .76596, .87474, .98300, 1.09150, 1.20004, 1.30818, 1.41613, 1.52408, 1.63159, 1.73965, 1.84696, 1.95445,
    2.06177, 2.16829,
]
LONGLEY = [  # y, x1 .. x6
    [60323, 83.0, 234289, 2356, 1590, 107608, 1947], [61122, 88.5, 259426, 2325, 1456, 108632, 1948],
    [60171, 88.2, 258054, 3682, 1616, 109773, 1949], [61187, 89.5, 284599, 3351, 1650, 110929, 1950],
    [63221, 96.2, 328975, 2099, 3099, 112075, 1951], [63639, 98.1, 346999, 1932, 3594, 113270, 1952],
    [64989, 99.0, 365385, 1870, 3547, 115094, 1953], [63761, 100.0, 363112, 3578, 3350, 116219, 1954],
    [66019, 101.2, 397469, 2904, 3048, 117388, 1955], [67857, 104.6, 419180, 2822, 2857, 118734, 1956],
    [68169, 108.4, 442769, 2936, 2798, 120445, 1957], [66513, 110.8, 444546, 4681, 2637, 121950, 1958],
    [68655, 112.6, 482704, 3813, 2552, 123366, 1959], [69564, 114.2, 502601, 3931, 2514, 125368, 1960],
    [69331, 115.7, 518173, 4806, 2572, 127852, 1961], [70551, 116.9, 554894, 4007, 2827, 130081, 1962],
]
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
# Wampler 3 to 5: a polynomial with coefficients 1 and residuals of one pattern, times 1, 100 and 10000.
PATTERN = [759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048, 2048]
WAMPLER_ERRORS = [
    2152.32624678170,
    2363.55173469681,
    779.343524331583,
    101.475507550350,
    5.64566512170752,
]
WAMPLER_ERRORS += [0.112324854679312]


def norris() -> Certified:
    table = np.array(NORRIS).reshape(-1, 2)
    b, error = [-0.262323073774029, 1.00211681802045], [0.232818234301152, 0.429796848199937e-03]
    return Certified(
        table[:, 1:], table[:, 0], b, error, 0.884796396144373, 0.999993745883712, 5436385.54079785
    )


def pontius() -> Certified:
    x = np.tile(150_000.0 * np.arange(1, 21), 2)
    b = [0.673565789473684e-03, 0.732059160401003e-06, -0.316081871345029e-14]
    error = [0.107938612033077e-03, 0.157817399981659e-09, 0.486652849992036e-16]
    of_all = (0.205177424076185e-03, 0.999999900178537, 185330865.995752)
    return Certified(powers(x, 2), np.array(PONTIUS), b, error, *of_all)


def no_intercept_1() -> Certified:
    of_all = (3.56753034006338, 0.999365492298663, 15750.25)
    x, y = np.arange(60.0, 71.0)[:, None], np.arange(130.0, 141.0)
    return Certified(x, y, [2.07438016528926], [0.165289256198347e-01], *of_all, constant=False)


def no_intercept_2() -> Certified:
    of_all = (0.369274472937998, 0.993348115299335, 298.666666666667)
    x, y = np.array([[4.0], [5.0], [6.0]]), np.array([3.0, 4.0, 4.0])
    return Certified(x, y, [0.727272727272727], [0.420827318078432e-01], *of_all, constant=False)


def longley() -> Certified:
    table = np.array(LONGLEY)
    b = [
        -3482258.63459582,
        15.0618722713733,
        -0.358191792925910e-01,
        -2.02022980381683,
        -1.03322686717359,
    ]
    b += [-0.511041056535807e-01, 1829.15146461355]
    error = [
        890420.383607373,
        84.9149257747669,
        0.334910077722432e-01,
        0.488399681651699,
        0.214274163161675,
    ]
    error += [0.226073200069370, 455.478499142212]
    return Certified(
        table[:, 1:], table[:, 0], b, error, 304.854073561965, 0.995479004577296, 330.285339234588
    )


def filip() -> Certified:
    b = [
        -1467.48961422980,
        -2772.17959193342,
        -2316.37108160893,
        -1127.97394098372,
        -354.478233703349,
    ]
    b += [-75.1242017393757, -10.8753180355343, -1.06221498588947, -0.670191154593408e-01]
    b += [-0.246781078275479e-02, -0.402962525080404e-04]
    error = [
        298.084530995537,
        559.779865474950,
        466.477572127796,
        227.204274477751,
        71.6478660875927,
    ]
    error += [15.2897178747400, 2.23691159816033, 0.221624321934227, 0.142363763154724e-01]
    error += [0.535617408889821e-03, 0.896632837373868e-05]
    of_all = (0.334801051324544e-02, 0.996727416185620, 2162.43954511489)
    return Certified(powers(np.array(FILIP_X), 10), np.array(FILIP_Y), b, error, *of_all)


def wampler_exact(b: list[float]) -> Certified:
    """The target is the polynomial itself, to the five decimals that NIST prints."""
    X = powers(np.arange(21.0), 5)
    return Certified(X, np.round(b[0] + X @ b[1:], 5), b, [0.0] * 6, 0.0, 1.0, np.inf)


def wampler(size: float, r2: float, f: float) -> Certified:
    X = powers(np.arange(21.0), 5)
    y = 1.0 + X.sum(axis=1) + size * np.array([*PATTERN, *PATTERN[-2::-1]])
    return Certified(
        X, y, [1.0] * 6, [size * one for one in WAMPLER_ERRORS], size * 2360.14502379268, r2, f
    )


def powers(x: np.ndarray, degree: int) -> np.ndarray:
    """x, x^2, ... (n, degree), each the float64 nearest to the exact power."""
    exact = [[float(Fraction(one) ** k) for k in range(1, degree + 1)] for one in x]
    return np.array(exact)


SETS = {
    "Norris": norris(),
    "Pontius": pontius(),
    "NoInt1": no_intercept_1(),
    "NoInt2": no_intercept_2(),
    "Longley": longley(),
    "Filip": filip(),
    "Wampler1": wampler_exact([1.0] * 6),
    "Wampler2": wampler_exact([1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5]),
    "Wampler3": wampler(1.0, 0.999995559025820, 675524.458240122),
    "Wampler4": wampler(100.0, 0.957478440825662, 67.5524458240122),
    "Wampler5": wampler(10_000.0, 0.224668921574940e-02, 6.75524458240122e-03),
}
EXACTLY = ("Wampler1", "Wampler2")


def digits(actual: Any, certified: Any) -> float:
    """Fewest correct digits, at most the 15 that NIST gives; of a zero, those after the point."""
    actual, certified = np.asarray(actual, dtype=float), np.asarray(certified, dtype=float)
    size = np.where(certified == 0.0, 1.0, np.abs(certified))
    return float(
        np.nan_to_num(
            -np.log10(np.maximum(np.abs(actual - certified) / size, 1e-15)), nan=-1.0
        ).min()
    )


def spread(of: Certified, assets: int) -> Panel:
    """The rows on a panel of as many assets, the last cells missing where they do not go in."""
    n, K = of.X.shape
    T = -(-n // assets)
    y, X = np.full(T * assets, np.nan), np.full((T * assets, K), np.nan)
    y[:n], X[:n] = of.y, of.X
    return panel_of(y.reshape(T, assets), X.reshape(T, assets, K))


def reached(fit: Fit, of: Certified, terms: slice = slice(None)) -> tuple[float, float, float]:
    table, quality = fit.coefficients, fit.quality.iloc[0]
    r2 = (
        "r2" if of.constant else "r2_uncentred"
    )  # what is certified without a constant is about zero
    return (
        digits(table["estimate"], of.b[terms]),
        digits(table["std_error"], of.error[terms]),
        digits(quality[["residual_std", r2, "f_stat"]], [of.residual_std, of.r2, of.f]),
    )


def expect(fit: Fit, name: str, terms: slice = slice(None)) -> None:
    """At least the digits of the table; of an exact fit, its estimates and that it is one."""
    b, error, quality = reached(fit, SETS[name], terms)
    print(f"{name:10} {b:5.1f} {error:5.1f} {quality:5.1f}")
    assert b >= DIGITS[name].b
    if name in EXACTLY:
        assert list(fit.quality["reason"]) == [EXACT]
        assert fit.coefficients["std_error"].isna().all() and np.isnan(
            fit.quality["f_stat"].iloc[0]
        )
        assert digits(fit.quality["r2"], [1.0]) >= 15.0
    else:
        assert list(fit.quality["reason"]) == [""]
        assert error >= DIGITS[name].error
        assert quality >= DIGITS[name].quality


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(("by", "assets"), [("asset", 1), (None, 1), (None, 2), (None, 3)])
def test_certified_values(name: str, by: str | None, assets: int) -> None:
    of, panel = SETS[name], spread(SETS[name], assets)
    fit = Regression(by=by, constant=of.constant).fit(panel, np.arange(len(panel.dates)))
    assert fit.quality["n_obs"].iloc[0] == len(of.y)
    expect(fit, name)


@pytest.mark.parametrize("name", [name for name in SETS if SETS[name].constant])
def test_moments_know_that_they_lose_digits(name: str) -> None:
    """Each of the sets is beyond what sums of products carry; if one passed for sound, its digits would be gone."""
    panel = spread(SETS[name], 1)
    for of in ("asset", None):
        shift = shift_of(panel.X, panel.y, panel.valid, of)
        assert not solve_moments(
            moments(panel.X, panel.y, panel.valid, shift, by_date=False), shift
        ).sound.any()


@pytest.mark.parametrize("name", [name for name in SETS if SETS[name].constant and name != "Filip"])
def test_one_fixed_effect_is_the_constant(name: str) -> None:
    """The effect of a single asset takes the constant's place; slopes, errors and quality are the certified ones."""
    panel = spread(SETS[name], 1)
    fit = Regression(by=None, effects=["asset"]).fit(panel, np.arange(len(panel.dates)))
    of = SETS[name]
    b, error, quality = reached(fit, of, slice(1, None))
    assert b >= DIGITS[name].b
    if name in EXACTLY:
        assert list(fit.quality["reason"]) == [EXACT] and fit.coefficients["std_error"].isna().all()
    else:
        # The inverse of X'X comes from products, which lose twice the digits of rows: 16 - 2 log10(2e3) of Wampler.
        assert error >= min(DIGITS[name].error, 10)
        assert quality >= DIGITS[name].quality


def test_filip_beside_fixed_effects_is_refused_not_guessed() -> None:
    panel = spread(SETS["Filip"], 1)
    with pytest.raises(EstimationError, match="collinear beside the effects: x0, x1, "):
        Regression(by=None, effects=["asset"]).fit(panel, np.arange(len(panel.dates)))


@pytest.mark.parametrize("name", SETS)
def test_the_data_here_are_those_of_nist(name: str) -> None:
    """In exact fractions they give the certified values to the digits that these have."""
    of = SETS[name]
    X = design(of.X, of.constant)
    b, inverse, ssr = rational(X, of.y)
    variance = ssr / (len(of.y) - X.shape[1])
    level = sum(map(Fraction, of.y.tolist())) / len(of.y) if of.constant else Fraction(0)
    tss = sum((Fraction(v) - level) ** 2 for v in of.y.tolist())
    needed = 7.5 if name == "Filip" else OF_THE_DATA
    assert digits([float(one) for one in b], of.b) >= needed
    assert (
        digits([float(variance * inverse[j][j]) ** 0.5 for j in range(len(b))], of.error) >= needed
    )
    assert (
        digits([float(variance) ** 0.5, float(1 - ssr / tss)], [of.residual_std, of.r2]) >= needed
    )


def test_digits_beside_those_of_statsmodels() -> None:
    """Informative: prints the sets on which statsmodels (pinv) reaches a digit less than the rows here."""
    for name, of in SETS.items():
        panel = spread(of, 1)
        fit = Regression(by=None, constant=of.constant).fit(panel, np.arange(len(panel.dates)))
        with np.errstate(divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # that Filip is singular to them, and that is what is shown
            theirs = sm.OLS(of.y, design(of.X, of.constant), hasconst=of.constant).fit()
        both = [digits(fit.coefficients["estimate"], of.b), digits(theirs.params, of.b)]
        both += [digits(fit.coefficients["std_error"], of.error), digits(theirs.bse, of.error)]
        if both[0] >= both[1] + 1 or both[2] >= both[3] + 1:
            print(
                "{:10} estimates {:.1f}, statsmodels {:.1f}; errors {:.1f}, {:.1f}".format(
                    name, *both
                )
            )
