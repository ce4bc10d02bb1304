"""The ridge models of the volatility table at scale, from a parquet file to metrics, beside polars with polars-ols.

python tests/benchmarks/vol_table.py [small|large]

Each side reads the same file, makes six realised volatilities and the target, fits on 504 rows every 25 rows, per
asset, per sector, over all, and with sector dummies, forecasts the next 25 rows, and scores them. Each runs in a
process of its own that warmed up on a tiny file before; ours in plain numpy, and compiled by numba; in
turns, the better one is told. The other side gathers the rows of each refit; it is timed on some refits, and scaled.
Forecasts are compared before a time is printed. Then 72 models, eight windows and nine penalties, from moments that
all share, beside fits one by one.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SIZES = {"tiny": (16, 800), "small": (100, 2500), "large": (1000, 7500)}  # assets, dates
POOLS = ("OMP", "OPENBLAS", "MKL", "NUMBA", "RAYON", "POLARS")
FIRST, TEST, WINDOW, PURGE, HORIZON = 655, 25, 504, 20, 21
WINDOWS, PENALTIES = (
    (252, 504, 756, 1008, 1260, 1512, 2016, 2520),
    tuple(10.0**k for k in range(-3, 6)),
)
NAMES = {
    "vol_5": (5, "both"),
    "vol_21": (21, "both"),
    "vol_63": (63, "both"),
    "vol_126": (126, "both"),
}
NAMES |= {"down_21": (21, "down"), "up_21": (21, "up")}
LOW, HIGH = 0.025, 2.0
TURNS = 2  # of every side, one after the other; the better one is told
SOME = 10  # refits of the other side, and of fits one by one
MODELS = ("asset", "sector", "all", "dummies")
SAME = 1e-6


def write(path: Path, size: str) -> None:
    """A long table of simulated prices, a row per asset and date."""
    import numpy as np
    import pandas as pd

    from runner.data.sources.simulation.simulated import Simulated

    N, T = SIZES[size]
    market = Simulated(assets=N, rows=T, start="1990-01-01", churn=0.0, seed=1).load()
    close = market.fields["close"]
    table = {
        "Date": np.repeat(close.index.to_numpy(), N),
        "Ticker": np.tile(close.columns.to_numpy(), T),
    }
    table |= {
        "Close": close.to_numpy().ravel(),
        "Sector": np.tile(market.groups["sector"].to_numpy(), T),
    }
    pd.DataFrame(table).to_parquet(path, index=False)


# --- ours ---------------------------------------------------------------------------------------------------------


def panel_of(path: Path) -> Any:
    from runner.data.sources.file import File
    from runner.features.functions import realised_volatility
    from runner.panels.building import build_panel
    from runner.preprocessing.applying import Step
    from runner.preprocessing.steps import clip
    from runner.targets import forward_volatility

    columns: dict[str, str | None] = {"date": "Date", "asset": "Ticker", "close": "Close"}
    market = File(str(path), columns, groups={"sector": "Sector"}).load()
    features = {
        name: partial(realised_volatility, window=w, side=side) for name, (w, side) in NAMES.items()
    }
    steps = [Step(partial(clip, low=LOW, high=HIGH), "clip", [*NAMES, "target"])]
    return build_panel(market, features, forward_volatility, steps)


def models(panel: Any) -> dict[str, Any]:
    from runner.models.regression import Regression

    made = partial(
        Regression, estimator="ridge", penalty=1.0, standardise=False, regressors=list(NAMES)
    )
    with_dummies = made(by=None, dummies=["sector"]).on(panel)
    return {
        "asset": made(by="asset"),
        "sector": made(by="sector"),
        "all": made(by=None),
        "dummies": with_dummies,
    }


def ours(path: Path) -> dict[str, Any]:
    """Seconds, and by model the metrics; forecasts (T, N) are kept beside the file, which is not timed."""
    import numpy as np

    from runner.validation.accuracy import correlation, rmse
    from runner.validation.folds import shared_by
    from runner.validation.splitters import WalkForward

    start = time.perf_counter()
    panel = panel_of(path)
    made = time.perf_counter() - start
    folds = WalkForward(test=TEST, first=FIRST, window=WINDOW, purge=PURGE).split(
        panel.dates, panel.horizon
    )
    panel = replace(panel, shared=shared_by(folds, panel))
    metrics, seconds = {}, {}
    for name, model in models(panel).items():
        begun = time.perf_counter()
        values = np.full(panel.y.shape, np.nan)
        for fold in folds:
            fit = model.fit_to_forecast(panel, fold.train)
            values[fold.test] = model.predict(fit, panel.at(fold.test))
        use = panel.valid & np.isfinite(values)
        y, f = panel.scored[use], values[use]
        metrics[name] = [correlation(y, f), rmse(y, f)]
        seconds[name] = time.perf_counter() - begun
        np.save(path.with_suffix(f".{name}.npy"), values)
        del values, use, y, f
    total = made + sum(seconds.values())
    return {
        "seconds": total,
        "panel": made,
        "by": seconds,
        "metrics": metrics,
        "refits": len(folds),
    }


# --- the other side -----------------------------------------------------------------------------------------------


def polars_table(path: Path) -> Any:
    """The long table with features and target, by date, without rows that lack one."""
    import polars as pl

    def vol(name: str, window: int, at: str) -> Any:
        sums = pl.col(at).rolling_sum(window).over("Ticker").clip(lower_bound=0.0)
        return (252.0 / window * sums).sqrt().alias(name)

    ret = pl.col("Close") / pl.col("Close").shift(1).over("Ticker") - 1.0
    table = pl.read_parquet(path).sort("Ticker", "Date").with_columns(ret.alias("r"))
    table = table.with_columns((pl.col("r") ** 2).alias("both"))
    down = pl.when(pl.col("r") < 0.0).then(pl.col("both")).when(pl.col("r").is_not_null()).then(0.0)
    up = pl.when(pl.col("r") >= 0.0).then(pl.col("both")).when(pl.col("r").is_not_null()).then(0.0)
    table = table.with_columns(down.alias("down"), up.alias("up"))
    table = table.with_columns(*(vol(name, w, side) for name, (w, side) in NAMES.items()))
    table = table.with_columns(pl.col("vol_21").shift(-HORIZON).over("Ticker").alias("raw"))
    table = table.with_columns(
        pl.col([*NAMES]).clip(LOW, HIGH), pl.col("raw").clip(LOW, HIGH).alias("y")
    )
    table = table.with_columns((pl.col("Date").rank("dense") - 1).cast(pl.Int32).alias("t")).sort(
        "t", "Ticker"
    )
    table = table.drop("Close", "r", "both", "down", "up", "Date").drop_nulls()
    levels = sorted(table["Sector"].unique().to_list())
    table = table.with_columns(
        (pl.col("Sector") == one).cast(pl.Float64).alias(f"s:{one}") for one in levels
    )
    return table.with_columns(pl.col("Sector").cast(pl.Categorical))


def polars_forecast(train: Any, test: Any, name: str) -> Any:
    """Ridge with a free constant on one slice, and its forecasts of the test slice; columns and target are centred,
    as the constant of polars-ols is penalised."""
    import polars as pl

    columns = list(NAMES)
    if name == "dummies":
        columns += [one for one in train.columns if one.startswith("s:")]
    key = {"asset": "Ticker", "sector": "Sector"}.get(name)
    centred = [pl.col(one) - pl.col(one).mean() for one in columns]
    ridge = (pl.col("y") - pl.col("y").mean()).least_squares.ridge(
        *centred, alpha=1.0, mode="coefficients"
    )
    asked = [
        ridge.alias("b"),
        *(pl.col(one).mean().alias(f"{one}_mean") for one in [*columns, "y"]),
    ]
    fits = train.group_by(key).agg(*asked) if key else train.select(asked).head(1)
    fits = fits.with_columns(
        *(pl.col("b").struct[k].alias(f"{one}_b") for k, one in enumerate(columns))
    ).drop("b")
    joined = test.join(fits, on=key) if key else test.join(fits, how="cross")
    line = pl.col("y_mean")
    for one in columns:
        line = line + pl.col(f"{one}_b") * (pl.col(one) - pl.col(f"{one}_mean"))
    return joined.select("t", "Ticker", "raw", line.alias("f"))


def theirs(path: Path) -> dict[str, Any]:
    """Seconds, scaled to all refits, and the largest gap of the forecasts to ours."""
    import numpy as np
    import polars as pl
    import polars_ols  # noqa: F401 (its import adds least_squares to expressions)

    start = time.perf_counter()
    table = polars_table(path)
    made = time.perf_counter() - start
    edge = np.searchsorted(table["t"].to_numpy(), np.arange(table["t"].max() + 2))
    last = len(edge) - 1
    every = range(FIRST, last, TEST)
    some = [
        every[k]
        for k in np.unique(np.linspace(0, len(every) - 1, min(SOME, len(every))).astype(int))
    ]
    found, by = {}, {}
    for name in MODELS:
        begun, parts = time.perf_counter(), []
        for row in some:
            low, high, end = (
                edge[row - PURGE - WINDOW],
                edge[row - PURGE],
                edge[min(row + TEST, last)],
            )
            test = table.slice(edge[row], end - edge[row])
            parts.append(polars_forecast(table.slice(low, high - low), test, name))
        found[name] = pl.concat(parts)
        squares = (pl.col("raw") - pl.col("f")) ** 2
        found[name].select(
            pl.corr("raw", "f").alias("correlation"), squares.mean().sqrt().alias("rmse")
        )
        by[name] = (time.perf_counter() - begun) * len(every) / len(some)
    gap = max(apart(path, name, one) for name, one in found.items())
    total = made + sum(by.values())
    return {
        "seconds": total,
        "panel": made,
        "by": by,
        "refits": len(every),
        "some": len(some),
        "gap": gap,
    }


def apart(path: Path, name: str, table: Any) -> float:
    """The largest relative gap of these forecasts to ours, which must be within 1e-6."""
    import numpy as np

    known = np.load(path.with_suffix(f".{name}.npy"), mmap_mode="r")
    asset = np.unique(table["Ticker"].to_numpy().astype(str), return_inverse=True)[1]
    gap = float(np.abs(known[table["t"].to_numpy(), asset] / table["f"].to_numpy() - 1.0).max())
    assert gap < SAME, (name, gap)
    return gap


# --- 72 models ----------------------------------------------------------------------------------------------------


def sweep(path: Path) -> dict[str, Any]:
    """Seconds of 72 models over all refits: from shared moments, and scaled from some fits one by one."""
    import numpy as np

    from runner.estimators.penalised.ridge import ridge_of_units
    from runner.models.regression import Regression
    from runner.panels.units import units
    from runner.validation.folds import shared_by
    from runner.validation.splitters import WalkForward

    panel = panel_of(path)
    windows = [w for w in WINDOWS if w + PURGE + 126 < len(panel.dates) // 2]
    first = max(windows) + PURGE + 127
    folds = {
        w: WalkForward(TEST, first, window=w, purge=PURGE).split(panel.dates, panel.horizon)
        for w in windows
    }
    owns = [unit.assets for unit in units(panel, np.arange(len(panel.dates)), None)]
    start, slopes = time.perf_counter(), {}
    shared = shared_by([fold for some in folds.values() for fold in some], panel)
    summed = replace(panel, shared=shared)
    for w, some in folds.items():
        known = [summed.shared_moments(fold.train, list(NAMES), None, owns) for fold in some]
        M, shift = np.concatenate([found[0] for found in known]), known[0][1][0]
        slopes |= {
            (w, penalty): ridge_of_units(M, shift, penalty, False)[0] for penalty in PENALTIES
        }
    together = time.perf_counter() - start
    alone, gap, fits = 0.0, 0.0, 0
    for w, some in folds.items():
        k, penalty = len(some) // 2, PENALTIES[WINDOWS.index(w)]
        model = Regression(
            by=None, estimator="ridge", penalty=penalty, standardise=False, regressors=list(NAMES)
        )
        begun = time.perf_counter()
        b = model.fit_to_forecast(panel, some[k].train).params[0]
        alone += (time.perf_counter() - begun) * len(PENALTIES) * len(some)
        gap, fits = (
            max(gap, float(np.abs(slopes[w, penalty][k] / b - 1.0).max())),
            fits + len(some) * len(PENALTIES),
        )
    return {"together": together, "alone": alone, "gap": gap, "models": len(slopes), "fits": fits}


# --- processes ----------------------------------------------------------------------------------------------------


def child(what: str, size: str, folder: Path) -> None:
    """One side in this process: prints its figures."""
    path = folder / f"{size}.parquet"
    if what == "write":
        write(path, size)
        return
    if what == "sweep":
        print(json.dumps(sweep(path)))
        return
    side = theirs if what == "polars" else ours
    if size != "tiny":
        from runner.numerics.compiled import rule

        many = rule.MANY
        rule.MANY = 0  # what is imported and compiled once is so, as on the other side
        side(folder / "tiny.parquet")
        rule.MANY = many
    figures = side(path)
    figures["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(figures))


def run(what: str, size: str, folder: Path, **more: str) -> dict[str, Any]:
    threads = {f"{pool}_NUM_THREADS": "2" for pool in POOLS} | {"POLARS_MAX_THREADS": "2"}
    env = {
        **os.environ,
        **threads,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        **more,
    }
    words = [sys.executable, __file__, what, size, str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    if done.returncode and what == "polars":  # the others go on
        told = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        return {"seconds": float("inf"), "failure": told[-1][:100]}
    if done.returncode:
        raise SystemExit(f"{what}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}


def sides() -> Iterator[tuple[str, str, dict[str, str]]]:
    from importlib.util import find_spec

    yield "plain numpy", "ours", {"NUMBA_DISABLE_JIT": "1"}
    yield "with numba", "ours", {}
    if find_spec("polars_ols"):
        yield "polars-ols", "polars", {}


def main(size: str) -> None:
    N, T = SIZES[size]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for one in {"tiny", size}:
            run("write", one, folder)
        print(
            f"{size}: {N} assets x {T} dates, {N * T:,} rows; load before: {os.getloadavg()[0]:.1f}\n"
        )
        print(
            "| side | seconds | panel | asset | sector | all | dummies | peak, GB | largest gap |"
        )
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
        turns = [
            (label, what, run(what, size, folder, **env))
            for _ in range(TURNS)
            for label, what, env in sides()
        ]
        for label, what, _ in sides():
            found = min(
                (one for *side, one in turns if side == [label, what]),
                key=lambda one: one["seconds"],
            )
            if "failure" in found:
                print(f"| {label} | {found['failure']} |" + " |" * 7, flush=True)
                continue
            by = " | ".join(f"{found['by'][name]:.3g}" for name in MODELS)
            gap = f"{found['gap']:.0e}" if "gap" in found else ""
            label += (
                f" ({found['some']} of {found['refits']} refits, scaled)" if "some" in found else ""
            )
            told = f"{found['seconds']:.3g} | {found['panel']:.3g} | {by} | {found['peak'] / 1e9:.2f} | {gap}"
            print(f"| {label} | {told} |", flush=True)
        one = run("sweep", size, folder, NUMBA_DISABLE_JIT="1")
        share = f"{one['together']:.3g} s beside {one['alone']:.3g} s ({100.0 * one['together'] / one['alone']:.2g} %)"
        print(
            f"\n{one['models']} models, {one['fits']:,} fits from shared moments: {share}, gap {one['gap']:.0e}"
        )
        print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        sys.path.insert(0, str(ROOT))
        child(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    else:
        sys.path.insert(0, str(ROOT))
        main(*(sys.argv[1:] or ["small"]))
