"""The engine beside the libraries that answer the same questions: same data, same answers, in one run.

python tests/benchmarks/engine.py [small|large]

Each side starts from data in its own form in memory (ours a Panel; statsmodels arrays per asset; the others a long
table sorted by asset), whose making is not timed, and every peer has run once on a tiny panel before, so that none
is charged for compiling. Answers are compared before a time is printed. A peer that is not installed says so.
"""

from __future__ import annotations

import importlib
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from runner.models.regression import Fit, Regression
    from runner.panels.panel import Panel

ROOT = Path(__file__).parents[2]
SIZES = {"tiny": (40, 60), "small": (100, 2500), "large": (1000, 7500)}  # assets, dates
FEATURES, LAGS, THREADS = 9, 4, "2"
ROUNDS = (9, 3)  # of ours, on the small and on the large panel
SAMPLE = 50  # assets of the loop that is timed on the large panel
POOLS = ("OMP", "OPENBLAS", "MKL", "NUMBA", "RAYON")


class Answer(NamedTuple):
    """Estimates, their standard errors and t (units, k), the constant first; R2 (units,) where a side has it."""

    estimate: np.ndarray
    error: np.ndarray
    t: np.ndarray
    r2: np.ndarray | None = None


@dataclass(frozen=True)
class Peer:
    """Another way to the same answer.

    Attributes:
        name: what its row says; library: the module it needs.
        prepare: its own form of a panel, not timed; run: the answer from that form.
        some: how many assets it takes of the large panel, whose time is then scaled; None takes all.
        rounds: how often it is measured on the small and on the large panel.
    """

    name: str
    library: str
    prepare: Callable[[Panel, np.ndarray], Any]
    run: Callable[[Any], Answer]
    some: int | None = None
    rounds: tuple[int, int] = (2, 1)


@dataclass(frozen=True)
class Task:
    """One question: the model that answers it here, how to read its fit, and its peers, the first installed one
    of each tuple."""

    name: str
    model: Callable[[], Regression]
    read: Callable[[Fit], Answer]
    peers: tuple[tuple[Peer, ...], ...]


# --- data ---------------------------------------------------------------------------------------------------------


def simulated(size: str) -> Panel:
    """A complete panel: features with a common part, betas per asset, heteroskedastic heavy-tailed noise.

    Made in place, a few dates at a time, so that making it takes no more memory than the panel.
    """
    import numpy as np
    import pandas as pd

    from runner.panels.panel import Panel

    (N, T), rng = SIZES[size], np.random.default_rng(7)
    X, y, beta = (
        np.empty((T, N, FEATURES)),
        np.empty((T, N)),
        0.3 + 0.2 * rng.standard_normal((N, FEATURES)),
    )
    for t in range(T):
        common = rng.standard_normal()
        X[t] = 0.5 * common + rng.standard_normal((N, FEATURES))
        noise = (1.0 + 0.5 * abs(common)) * rng.standard_t(6, size=N)
        y[t] = 0.05 + 0.3 * common + (X[t] * beta).sum(axis=1) + noise
    dates = pd.date_range("1990-01-01", periods=T, freq="B")
    assets, names = [f"A{i:04d}" for i in range(N)], [f"x{k}" for k in range(FEATURES)]
    groups = pd.DataFrame(index=assets)
    return Panel(dates, assets, names, y, X, np.ones((T, N), dtype=bool), 0, groups, ())


def long_columns(panel: Panel, own: np.ndarray) -> dict[str, np.ndarray]:
    """A long table of these assets as columns: asset and date as positions, y, the features; sorted by asset."""
    import numpy as np

    T = len(panel.dates)
    found = {"asset": np.repeat(own, T), "date": np.tile(np.arange(T), len(own))}
    found["y"] = panel.y[:, own].T.ravel()
    return found | {name: panel.X[:, own, k].T.ravel() for k, name in enumerate(panel.names)}


def arrays(panel: Panel, own: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Target (T,) and regressors (T, k) of each of these assets, the constant first."""
    import numpy as np

    one = np.ones(len(panel.dates))
    return [(panel.y[:, i].copy(), np.column_stack([one, panel.X[:, i]])) for i in own]


def pandas_table(panel: Panel, own: np.ndarray) -> Any:
    """The long table in pandas."""
    import pandas as pd

    return pd.DataFrame(long_columns(panel, own), copy=False)


def pandas_panel(panel: Panel, own: np.ndarray) -> tuple[Any, Any]:
    """Target and regressors with the constant as linearmodels takes them, over asset and date."""
    table = pandas_table(panel, own).set_index(["asset", "date"])
    table.insert(1, "const", 1.0)
    return table[["y"]], table.drop(columns="y")


def polars_table(panel: Panel, own: np.ndarray) -> Any:
    """The long table in polars."""
    import polars as pl

    return pl.DataFrame(long_columns(panel, own))


# --- ours ---------------------------------------------------------------------------------------------------------


def per_asset() -> Regression:
    from runner.models.regression import Regression

    return Regression()


def fama_macbeth() -> Regression:
    from runner.models.regression import Regression

    return Regression(by="date", mean_lags=LAGS)


def two_way() -> Regression:
    from runner.models.regression import Regression

    return Regression(by=None, cov="cluster", clusters=["asset", "date"])


def fixed_effects() -> Regression:
    from runner.models.regression import Regression

    return Regression(by=None, effects=["asset", "date"])


def of_scope(scope: str) -> Callable[[Fit], Answer]:
    """Reads the rows of one scope of a fit."""

    def read(fit: Fit) -> Answer:
        rows = fit.coefficients[fit.coefficients["scope"] == scope]
        k = rows["term"].nunique()
        estimate, error, t = (
            rows[name].to_numpy().reshape(-1, k) for name in ("estimate", "std_error", "t_stat")
        )
        r2 = fit.quality.loc[fit.quality["scope"] == scope, "r2"].to_numpy()
        return Answer(estimate, error, t, r2 if len(r2) else None)

    return read


# --- peers --------------------------------------------------------------------------------------------------------


def statsmodels_loop(data: list[tuple[np.ndarray, np.ndarray]]) -> Answer:
    """One statsmodels OLS per asset."""
    import numpy as np
    import statsmodels.api as sm

    fits = (sm.OLS(y, X).fit() for y, X in data)
    rows = [(fit.params, fit.bse, fit.tvalues, fit.rsquared) for fit in fits]
    return Answer(*map(np.array, zip(*rows, strict=True)))


def statsmodels_formula(table: Any) -> Answer:
    """One statsmodels formula per asset of a long table, as its users write it."""
    import numpy as np
    import statsmodels.formula.api as smf

    formula = "y ~ " + " + ".join(f"x{k}" for k in range(FEATURES))
    fits = (smf.ols(formula, own).fit() for _, own in table.groupby("asset"))
    rows = [(fit.params, fit.bse, fit.tvalues, fit.rsquared) for fit in fits]
    return Answer(*map(np.array, zip(*rows, strict=True)))


def polars_statistics(table: Any) -> Answer:
    """polars-ols grouped by asset with its statistics: estimates, errors, t, p and R2."""
    import numpy as np
    import polars as pl

    features = [pl.col(f"x{k}") for k in range(FEATURES)]
    ols = pl.col("y").least_squares.ols(*features, mode="statistics", add_intercept=True)
    rows = table.group_by("asset", maintain_order=True).agg(ols.alias("fit"))["fit"]
    fields = (
        np.array(rows.struct.field(name).to_list())
        for name in ("coefficients", "standard_errors", "t_values")
    )
    estimate, error, t = (
        np.roll(values, 1, axis=1) for values in fields
    )  # its constant comes last
    return Answer(estimate, error, t, rows.struct.field("r2").to_numpy())


def linear_fama_macbeth(data: tuple[Any, Any]) -> Answer:
    """Fama and MacBeth with Newey-West in linearmodels.

    With debiased=True its kernel covariance has the factor T/(T-1); ours has none, so False is the same formula.
    """
    from linearmodels.panel import FamaMacBeth

    fit = FamaMacBeth(*data).fit(cov_type="kernel", bandwidth=LAGS, debiased=False)
    return _row(fit.params, fit.std_errors, fit.tstats)


def pyfixest_two_way(table: Any) -> Answer:
    """Two ways of clusters in pyfixest, each with its own G/(G-1) and (n-1)/(n-k) for all, as ours."""
    import pyfixest as pf

    ssc = pf.ssc(k_adj=True, G_adj=True, G_df="conventional")
    formula = "y ~ " + " + ".join(f"x{k}" for k in range(FEATURES))
    fit = pf.feols(
        formula, data=table, vcov={"CRV1": "asset+date"}, ssc=ssc, copy_data=False, store_data=False
    )
    return _row(fit.coef(), fit.se(), fit.tstat())


def pyfixest_effects(table: Any) -> Answer:
    """Fixed effects of assets and dates in pyfixest, all of them counted in the degrees of freedom, as ours."""
    import pyfixest as pf

    formula = "y ~ " + " + ".join(f"x{k}" for k in range(FEATURES)) + " | asset + date"
    ssc = pf.ssc(k_adj=True, k_fixef="full")
    fit = pf.feols(formula, data=table, vcov="iid", ssc=ssc, copy_data=False, store_data=False)
    return _row(fit.coef(), fit.se(), fit.tstat())


def linear_effects(data: tuple[Any, Any]) -> Answer:
    """Fixed effects of assets and dates in linearmodels."""
    from linearmodels.panel import PanelOLS

    y, X = data
    fit = PanelOLS(y, X.drop(columns="const"), entity_effects=True, time_effects=True).fit(
        cov_type="unadjusted"
    )
    return _row(fit.params, fit.std_errors, fit.tstats)


def linear_two_way(data: tuple[Any, Any]) -> Answer:
    """Two ways of clusters in linearmodels: G/(G-1) with group_debias, and (n-1)/(n-k), as ours."""
    from linearmodels.panel import PooledOLS

    fit = PooledOLS(*data).fit(
        cov_type="clustered", cluster_entity=True, cluster_time=True, group_debias=True
    )
    return _row(fit.params, fit.std_errors, fit.tstats)


def _row(*columns: Any) -> Answer:
    """An answer of one unit."""
    import numpy as np

    return Answer(*(np.asarray(column, dtype=float)[None] for column in columns))


STATSMODELS = Peer(
    "statsmodels OLS, a loop", "statsmodels", arrays, statsmodels_loop, SAMPLE, ROUNDS
)
FORMULA = Peer(
    "statsmodels formula, by asset of a table",
    "statsmodels",
    pandas_table,
    statsmodels_formula,
    SAMPLE,
)
EFFECTS = Peer("pyfixest feols, two effects", "pyfixest", pandas_table, pyfixest_effects)
PANEL_OLS = Peer("linearmodels PanelOLS", "linearmodels", pandas_panel, linear_effects)
POLARS = Peer("polars-ols, statistics", "polars_ols", polars_table, polars_statistics, None, ROUNDS)
FAMA_MACBETH = Peer("linearmodels FamaMacBeth", "linearmodels", pandas_panel, linear_fama_macbeth)
PYFIXEST = Peer("pyfixest feols, CRV1", "pyfixest", pandas_table, pyfixest_two_way)
POOLED_OLS = Peer("linearmodels PooledOLS", "linearmodels", pandas_panel, linear_two_way)
TASKS = (
    Task(
        "least squares per asset, t and R2",
        per_asset,
        of_scope("asset"),
        ((STATSMODELS,), (FORMULA,), (POLARS,)),
    ),
    Task(f"Fama-MacBeth, Newey-West {LAGS}", fama_macbeth, of_scope("mean"), ((FAMA_MACBETH,),)),
    Task("pooled, clusters asset and date", two_way, of_scope("pooled"), ((PYFIXEST, POOLED_OLS),)),
    Task(
        "fixed effects of asset and date",
        fixed_effects,
        of_scope("pooled"),
        ((EFFECTS, PANEL_OLS),),
    ),
)


# --- measuring ----------------------------------------------------------------------------------------------------


def installed(peers: tuple[Peer, ...]) -> tuple[Peer, bool]:
    """The first of these that can be imported, else the first and that it cannot."""
    for peer in peers:
        try:
            importlib.import_module(peer.library)
        except ImportError:
            continue
        return peer, True
    return peers[0], False


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and what it gave."""
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def same(ours: Answer, theirs: Answer, own: np.ndarray) -> float:
    """The largest relative gap, which must be within 1e-8; `own` are the units that the other side has."""
    import numpy as np

    gaps = []
    for name, a, b in zip(Answer._fields, ours, theirs, strict=True):
        if a is not None and b is not None:
            np.testing.assert_allclose(a[own], b, rtol=1e-8, err_msg=name)
            gaps.append(float(np.max(np.abs(a[own] / b - 1.0))))
    return max(gaps)


def side_by_side(
    task: Task, peer: Peer, panel: Panel, size: str
) -> tuple[list[float], list[float], float]:
    """Seconds of ours and of the peer's, measured in turn, and the largest relative gap of their answers."""
    import numpy as np

    some = peer.some if size == "large" else None
    N, model, rows = len(panel.assets), task.model(), np.arange(len(panel.dates))
    own = np.sort(np.random.default_rng(1).permutation(N)[:some])
    data = peer.prepare(panel, own)
    mine, others, gap = [], [], 0.0
    for _, more in zip_longest(range(ROUNDS[size == "large"]), range(peer.rounds[size == "large"])):
        seconds, fit = timed(lambda: model.fit(panel, rows))
        mine.append(seconds)
        if more is not None:
            seconds, answer = timed(lambda: peer.run(data))
            others.append(seconds * N / len(own))
            ours = task.read(fit)
            gap = max(gap, same(ours, answer, own if len(ours.estimate) == N else np.arange(1)))
    return mine, others, gap


def speed(size: str) -> None:
    """Prints a row per task and peer."""
    panel, tiny = simulated(size), simulated("tiny")
    print(
        "| task | beside | ours, median s | beside, median s | times faster | largest gap | rounds |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    for task in TASKS:
        for peers in task.peers:
            peer, found = installed(peers)
            if not found:
                print(f"| {task.name} | {peer.name} | | not installed | | | |", flush=True)
                continue
            try:
                side_by_side(task, peer, tiny, "tiny")
                ours, theirs, gap = side_by_side(task, peer, panel, size)
            except Exception as error:  # a peer that cannot: the others go on
                told = str(error).strip().splitlines() or [""]
                failed = f"{type(error).__name__}: {told[0][:100]}"
                print(f"| {task.name} | {peer.name} | | {failed} | | | |", flush=True)
                continue
            a, b, scaled = median(ours), median(theirs), size == "large" and peer.some
            name = peer.name + (
                f" ({peer.some} assets, scaled to {SIZES[size][0]})" if scaled else ""
            )
            counts = f"{len(ours)}, {len(theirs)}"
            print(
                f"| {task.name} | {name} | {a:.3g} | {b:.3g} | {b / a:.1f} | {gap:.0e} | {counts} |",
                flush=True,
            )


# --- memory -------------------------------------------------------------------------------------------------------


def peak(size: str, task: int | None) -> int:
    """Largest resident bytes of a process that holds the panel and, unless None, fits the model of this task."""
    words = [sys.executable, __file__, size, "hold" if task is None else str(task)]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    return int(run.stdout) * (1 if sys.platform == "darwin" else 1024)


def hold(size: str, task: str) -> None:
    """The process that `peak` measures: the imports and a tiny fit come first in both."""
    import numpy as np

    tiny, panel = simulated("tiny"), simulated(size)
    for one in TASKS:
        one.model().fit(tiny, np.arange(len(tiny.dates)))
    if task != "hold":
        TASKS[int(task)].model().fit(panel, np.arange(len(panel.dates)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def memory(size: str) -> None:
    """Prints what a fit takes over the panel that it is given.

    Comes before all else: on Linux a process inherits the peak of the one that starts it, so that one must be small.
    """
    N, T = SIZES[size]
    held, own = peak(size, None), N * T * (8 * (FEATURES + 1) + 1)
    print(
        f"| fit | peak over the panel's process, MB | share of the panel's {own / 1e6:.0f} MB |\n|---|---|---|"
    )
    for at, task in enumerate(TASKS):
        more = peak(size, at) - held
        print(f"| {task.name} | {more / 1e6:.1f} | {more / own:.3f} |", flush=True)


def versions() -> None:
    """Prints the versions of all that is measured."""
    found = []
    for name in (
        "numpy",
        "numba",
        "pandas",
        "statsmodels",
        "linearmodels",
        "polars",
        "polars-ols",
        "pyfixest",
    ):
        try:
            found.append(f"{name} {version(name)}")
        except ModuleNotFoundError:
            found.append(f"{name} not installed")
    print(f"\nPython {sys.version.split()[0]}, {', '.join(found)}; {THREADS} threads each")


def main(size: str, task: str | None = None) -> None:
    for pool in POOLS:
        os.environ[f"{pool}_NUM_THREADS"] = THREADS
    os.environ["POLARS_MAX_THREADS"] = THREADS
    sys.path.insert(0, str(ROOT))
    warnings.filterwarnings("ignore")
    if task is not None:
        hold(size, task)
        return
    N, T = SIZES[size]
    print(f"{size}: {N} assets x {T} dates x {FEATURES} features, {N * T:,} rows\n", flush=True)
    memory(size)
    print()
    speed(size)
    versions()


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["small"]))
