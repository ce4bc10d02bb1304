"""Sweeps over worthless signals, made in the process: how often the verdict finds one, and a planted one.

`python tests/null_sweeps.py` measures every family and prints its row of the table in `runner/docs/verdict.md` as
soon as it is known; with names after it, those families alone.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import repeat
from typing import NamedTuple

import numpy as np
import pandas as pd
from null_arrays import Tested, names, regressed
from scipy.signal import lfilter
from threadpoolctl import threadpool_limits

from runner.models.regression import Regression
from runner.panels.panel import Panel
from runner.trials import adjust
from runner.trials.influence import influence_of
from runner.trials.premises import doubts
from runner.trials.romano_wolf import block_of, romano_wolf
from runner.trials.trial import Bar, Job
from runner.trials.verdict import Verdict, judge

PLANTED = 5.0  # the true t of the one signal that is worth something, where one is
BURN = 300  # rows before the first, so that signals begin in their long run
DRAWS = 999
LEVEL = 0.05
CALIBRATED = 60  # samples from which the response of a logit is read, at most
WITHHELD = 20  # sweeps of a family that has no verdict


@dataclass(frozen=True)
class Family:
    """A kind of sweep.

    Attributes:
        model: what is run; T dates, N assets, horizon of the target.
        signal: `common` to all assets on a date, `own` of each asset (half of it shared), `momentum` (sums of
            the asset's own returns over 5 to 100 rows) or `yield` (common, innovations against the market's).
        persistence: first-order autocorrelation of the signals.
        binary: whether the target is 1 or 0.
        withheld: how the reason of the expected absence of a verdict begins; empty where one is expected.
        signals: jobs of a sweep, one signal each.
    """

    model: Regression
    T: int = 500
    N: int = 10
    horizon: int = 1
    signal: str = "common"
    persistence: float = 0.97
    binary: bool = False
    withheld: str = ""
    signals: int = 20


class Swept(NamedTuple):
    """Of one sweep: tests with a verdict, survivors, finds of Benjamini-Hochberg and of Benjamini-Yekutieli,
    whether the first signal survives, its estimate, and reasons of absence."""

    judged: int
    survivors: int
    bh: int
    by: int
    first: bool
    estimate: float
    reasons: tuple[str, ...]


class Rates(NamedTuple):
    """Shares of sweeps: with a survivor, with a find of BH, in which the first signal survives; and of tests
    without a verdict, with the commonest reason; and how many sweeps they are of."""

    survivor: float
    bh: float
    first: float
    withheld: float
    reason: str
    sweeps: int

    def __str__(self) -> str:
        error = np.sqrt(self.survivor * (1.0 - self.survivor) / self.sweeps)
        without = (
            f", {self.withheld:.0%} of tests withheld ({self.reason})" if self.withheld else ""
        )
        survivor = f"survivor {self.survivor:.1%} (standard error {error:.1%})"
        return (
            f"{survivor}, BH {self.bh:.1%}, first {self.first:.0%} of {self.sweeps} sweeps{without}"
        )


def returns_of(rng: np.random.Generator, T: int, N: int) -> np.ndarray:
    """Returns (T, N) with a market and heavy tails."""
    market = rng.standard_t(6, size=(T, 1))
    if N == 1:
        return market
    return market * (0.5 + rng.random(N)) + 1.5 * rng.standard_t(5, size=(T, N))


def autoregressive(noise: np.ndarray, rho: float) -> np.ndarray:
    """AR(1) along the first axis, of unit variance where the noise has it."""
    return np.sqrt(1.0 - rho**2) * lfilter([1.0], [1.0, -rho], noise, axis=0)


def signals_of(rng: np.random.Generator, family: Family, r: np.ndarray) -> np.ndarray:
    """Signals (T, N, S) known at each row of the returns r (T, N)."""
    T, N = r.shape
    shape = (T, N, family.signals)
    if family.signal == "momentum":
        windows = np.linspace(5, 100, family.signals).astype(int)
        sums = [lfilter(np.ones(w) / np.sqrt(w), [1.0], r, axis=0) for w in windows]
        return np.stack(sums, axis=2)
    noise = rng.normal(size=(T, 1, family.signals))
    if family.signal == "yield":
        market = r.mean(axis=1) / r.mean(axis=1).std()
        noise = -0.9 * market[:, None, None] + np.sqrt(1.0 - 0.9**2) * noise
    if family.signal == "own":
        noise = np.sqrt(0.5) * (noise + rng.normal(size=shape))
    return np.broadcast_to(autoregressive(noise, family.persistence), shape)


def drawn(family: Family, seed: int, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """Target (T, N) and signals (T, N, S); the first signal moves the target by `slope`."""
    rng = np.random.default_rng(seed)
    h = family.horizon
    r = returns_of(rng, family.T + BURN + h, family.N)
    signals = signals_of(rng, family, r)[BURN : BURN + family.T]
    windows = np.lib.stride_tricks.sliding_window_view(r, h, axis=0).sum(axis=2)
    y = windows[BURN + 1 : BURN + 1 + family.T] if h else r[BURN : BURN + family.T]
    y = y + slope * signals[:, :, 0]
    return (y > 0.0).astype(float) if family.binary else y, signals


@cache
def calendar(T: int) -> pd.DatetimeIndex:
    return pd.bdate_range("2000-01-03", periods=T)


def panel_of_signals(family: Family, y: np.ndarray, X: np.ndarray) -> Panel:
    """The panel of target (T, N) and signals X (T, N, S)."""
    T, N, S = X.shape
    assets = [f"A{i:02d}" for i in range(N)]
    groups = pd.DataFrame({"sector": [f"s{i % 3}" for i in range(N)]}, index=assets)
    dates = calendar(T)
    return Panel(dates, assets, names(S), y, X, np.ones((T, N), bool), family.horizon, groups, ())


def jobs_of(family: Family, y: np.ndarray, X: np.ndarray) -> list[Job]:
    """One run per signal by the project's own fit."""
    whole, rows = panel_of_signals(family, y, X), np.arange(family.T)
    jobs = []
    for k, name in enumerate(whole.names):
        panel = replace(whole, X=np.ascontiguousarray(X[:, :, k : k + 1]), names=[name])
        fit = family.model.fit(panel, rows)
        influence = influence_of(panel, family.model, fit)
        jobs.append(
            Job(name, fit.coefficients, influence.contributions, influence.doubts, influence.reason)
        )
    return jobs


def swept(family: Family, seed: int, slope: float = 0.0) -> Verdict:
    """One run per signal by the project's own fit, judged together."""
    y, X = drawn(family, seed, slope)
    return judge(jobs_of(family, y, X), Bar(draws=DRAWS, seed=seed, horizon=max(family.horizon, 1)))


def response(family: Family, slope: float, samples: int) -> float:
    """How far the first signal's estimate moves with the slope that it is given: 1 of least squares, else the mean
    over some samples, each with the slope and without."""
    if not family.binary:
        return 1.0
    moved = []
    for seed in range(samples):
        pair = []
        for given in (0.0, slope):
            y, X = drawn(family, seed, given)
            pair.append(float(regressed(family.model, y, X[:, :, :1], family.horizon).estimate[0]))
        moved.append((pair[1] - pair[0]) / slope)
    return float(np.mean(moved))


def planted_slope(family: Family, spread: float, samples: int) -> float:
    """The slope with which the first signal's true t is five, given the spread of its estimate over samples."""
    near = PLANTED * spread / response(family, PLANTED * spread, samples)
    return PLANTED * spread / response(family, near, samples)


def through_the_fits(family: Family, seed: int, slope: float) -> Swept:
    """One sweep, every signal by the project's own fit and all by its own verdict."""
    tests = swept(family, seed, slope).tests
    survives = tests["survives"].eq(True).to_numpy(dtype=bool)
    reasons = tuple(tests.loc[tests["p_dates"].isna(), "reason"])
    finds = [int((tests[name] < LEVEL).sum()) for name in ("p_bh", "p_by")]
    estimate = float(tests["estimate"].iloc[0])
    return Swept(
        len(tests) - len(reasons), int(survives.sum()), *finds, bool(survives[0]), estimate, reasons
    )


def through_arrays(family: Family, seed: int, slope: float) -> Swept:
    """The same numbers, the fits by arrays; what cannot change them is left out.

    p-values by dates are never below `Tested.least`, so that without a find of Benjamini-Hochberg among these there
    is none of any adjustment, and without one of Holm's none of both Holm and Romano-Wolf.
    """
    y, X = drawn(family, seed, slope)
    fits = regressed(family.model, y, X, family.horizon)
    dates = np.ones(family.T, dtype=bool)
    why = doubts(panel_of_signals(family, y, X), family.model, fits.estimates(), fits.dates, dates)
    reasons = tuple(reason for reason in why.values() if reason)
    known = np.array([not reason for reason in why.values()])
    p = np.where(known, fits.least, np.nan)
    survives, bh, by = np.zeros(family.signals, dtype=bool), 0, 0
    if (adjust.benjamini_hochberg(p, family.signals) < LEVEL).any():
        block = block_of(fits.contributions[:, known]) if family.horizon < 2 else None
        p = np.fmax(p, stepped_down(family, fits, known, seed, block, draws=1)[1])
        bh = int((adjust.benjamini_hochberg(p, family.signals) < LEVEL).sum())
        by = int((adjust.benjamini_yekutieli(p, family.signals) < LEVEL).sum())
        survives = adjust.holm(p, family.signals) < LEVEL
    if survives.any():
        survives &= stepped_down(family, fits, known, seed, block, DRAWS)[0] < LEVEL
    return Swept(
        int(known.sum()),
        int(survives.sum()),
        bh,
        by,
        bool(survives[0]),
        float(fits.estimate[0]),
        reasons,
    )


def stepped_down(
    family: Family, fits: Tested, known: np.ndarray, seed: int, block: int | None, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """p-values of Romano-Wolf and those by dates alone, (S,) each, of the tests that are known."""
    horizon = max(family.horizon, 1)
    psi, errors = fits.contributions[:, known], fits.std_error[known]
    drawn = romano_wolf(psi, errors, draws, block, seed, horizon, family.signals)
    joint, alone = np.full(len(known), np.nan), np.full(len(known), np.nan)
    joint[known], alone[known] = drawn.p_value, drawn.alone
    if not fits.over_assets:
        joint = np.fmax(joint, fits.p_value)
    return joint, alone


def rates(
    family: Family, seeds: range, slope: float = 0.0, workers: int = 1
) -> tuple[Rates, float]:
    """Rates over sweeps, and the standard deviation of the first signal's estimate over them."""
    many = (repeat(family), seeds, repeat(slope))
    counted = through_the_fits if family.withheld else through_arrays
    if workers == 1:
        sweeps = list(map(counted, *many))
    else:
        # A thread of linear algebra for each worker: more of them wait for each other, ten times as long.
        with ProcessPoolExecutor(workers, initializer=threadpool_limits, initargs=(1,)) as pool:
            sweeps = list(pool.map(counted, *many, chunksize=5))
    reasons = pd.Series(
        [reason.partition(" (")[0] for one in sweeps for reason in one.reasons], dtype=object
    )
    shares = [
        float(np.mean([one.survivors > 0 for one in sweeps])),
        float(np.mean([one.bh > 0 for one in sweeps])),
        float(np.mean([one.first for one in sweeps])),
        len(reasons) / family.signals / len(sweeps),
    ]
    common = str(reasons.value_counts().index[0]) if len(reasons) else ""
    return Rates(*shares, common, len(sweeps)), float(np.std([one.estimate for one in sweeps]))


def level_and_power(
    family: Family, sweeps: int, planted: int, workers: int = 1
) -> tuple[Rates, Rates | None]:
    """Rates of worthless sweeps, and of those with a first signal whose true t is 5; none where withheld."""
    if family.withheld:
        return rates(family, range(min(sweeps, WITHHELD)), 0.0, workers)[0], None
    null, spread = rates(family, range(sweeps), 0.0, workers)
    seeds = range(10_000, 10_000 + planted)
    slope = planted_slope(family, spread, min(planted, CALIBRATED))
    return null, rates(family, seeds, slope, workers)[0]


BY_DATE = {"cov": "cluster", "clusters": ["date"]}
DK = {"cov": "driscoll_kraay"}
SMALL: dict[str, Family] = {  # of the quick test
    "by asset": Family(Regression(), T=250, N=4, persistence=0.9, signals=3),
    "logit by asset": Family(
        Regression(estimator="logit"), T=250, N=4, persistence=0.9, binary=True, signals=3
    ),
}
FAMILIES: dict[str, Family] = {
    "one asset": Family(Regression(), N=1),
    "one asset, HAC": Family(Regression(cov="HAC"), N=1),
    "one asset, dividend yield": Family(
        Regression(), N=1, signal="yield", withheld="small-sample bias"
    ),
    "one asset, horizon 5, HAC, 2,500 dates": Family(Regression(cov="HAC"), T=2500, N=1, horizon=5),
    "one asset, horizon 21, HAC, 500 dates": Family(
        Regression(cov="HAC"), N=1, horizon=21, withheld="too few independent rows"
    ),
    "one asset, horizon 21, HAC, 2,500 dates": Family(
        Regression(cov="HAC"), T=2500, N=1, horizon=21
    ),
    "by asset, market-level": Family(Regression()),
    "by asset, own momentum": Family(Regression(), signal="momentum", withheld="small-sample bias"),
    "by asset, own signals": Family(Regression(), signal="own"),
    "logit by asset, market-level": Family(Regression(estimator="logit"), N=5, binary=True),
    "logit pooled by date": Family(Regression(by=None, estimator="logit", **BY_DATE), binary=True),
    "logit pooled, nonrobust": Family(
        Regression(by=None, estimator="logit"), binary=True, withheld="p-values treat assets"
    ),
    "pooled, nonrobust": Family(Regression(by=None), withheld="p-values treat assets"),
    "by sector, HC1": Family(Regression(by="sector", cov="HC1"), withheld="p-values treat assets"),
    "pooled by asset, market-level": Family(
        Regression(by=None, cov="cluster", clusters=["asset"]), withheld="p-values treat assets"
    ),
    "pooled by asset, own signals": Family(
        Regression(by=None, cov="cluster", clusters=["asset"]),
        signal="own",
        withheld="p-values rest on few clusters",
    ),
    "pooled by date": Family(Regression(by=None, **BY_DATE), signal="own"),
    "pooled by date, own momentum": Family(Regression(by=None, **BY_DATE), signal="momentum"),
    "pooled, asset effects, own momentum": Family(
        Regression(by=None, effects=["asset"], **BY_DATE),
        signal="momentum",
        withheld="small-sample bias",
    ),
    "pooled by date, horizon 21": Family(
        Regression(by=None, **BY_DATE),
        horizon=21,
        signal="own",
        withheld="p-values treat overlapping",
    ),
    "pooled DK, horizon 21, 2,500 dates": Family(
        Regression(by=None, **DK), T=2500, N=5, horizon=21, signal="own"
    ),
    "pooled DK, horizon 21, 500 dates": Family(
        Regression(by=None, **DK), horizon=21, signal="own", withheld="too few independent rows"
    ),
    "mean over dates": Family(Regression(by="date"), T=250, N=20, signal="own", persistence=0.9),
    "mean over dates, horizon 21": Family(
        Regression(by="date"), T=1000, N=10, horizon=21, signal="own", persistence=0.9
    ),
}


def row(name: str, null: Rates, planted: Rates | None) -> str:
    """A row of the table of families: level, finds of Benjamini-Hochberg, power, sweeps."""
    if planted is None:
        return f"| {name} | withheld: {null.reason} | | | {null.sweeps} |"
    numbers = f"{null.survivor:.1%} | {null.bh:.1%} | {planted.first:.1%} | {null.sweeps:,}, {planted.sweeps}"
    without = (
        f"; {null.withheld:.0%} of tests withheld: {null.reason}" if null.withheld > 0.005 else ""
    )
    return f"| {name}{without} | {numbers.replace('%', ' %')} |"


if __name__ == "__main__":
    for name in sys.argv[1:] or FAMILIES:
        print(
            row(name, *level_and_power(FAMILIES[name], 1000, 200, workers=os.cpu_count() or 1)),
            flush=True,
        )
