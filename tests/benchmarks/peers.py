"""Ragged panels beside the libraries that answer the same questions, each from the same file in a process of its own.

    python tests/benchmarks/peers.py [FILE] [--characteristics 10] [--names 35000] [--memory 16] [--seconds 900]
        [--turns 1] [--least 0]

FILE is a monthly parquet file in order of date: date, permno, ret, c0, c1, ...; without it one is simulated
(`files.py`). The characteristics of a month explain the return of the next one: Fama-MacBeth with Newey-West errors,
a pooled regression with errors clustered by name and month, the same beside effects of names and months, and a ridge over all rows refitted every year on all
months before, judged out of sample. "command" is our whole command line, "on disk" the same of which market and panel
lie in files that it makes; "Python" the same through `runner.panel`.
The others run as they come, with as many threads of BLAS as there are cores, and again with one, as our command has:
threads that wait for each other take CPU seconds too. Of several turns of a side the one of least CPU seconds counts; a
short side has more turns, until they have taken `--least` CPU seconds.
CPU seconds of all threads, of which "beyond" those of the default run (our command) or of imports and a first call on
a tiny file (the others), and the largest resident size. Answers of each are compared to ours: estimates in units of their standard errors, errors and
scores as a share. A peer that needs more memory or time than it is given says so.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from measuring import Used, least, measured

LAGS = 4
FIRST, TEST = 240, 12  # months before the first forecast, and between refits
PENALTY = 1.0
POOLS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
ONE_BLAS_THREAD = dict.fromkeys(POOLS, "1")
SAME = 1e-5  # largest gap of answers; pyfixest absorbs effects by iteration, to some 3e-6
TINY = 2_000  # names of the file on which each side runs once before the clock starts
FAMA_MACBETH, POOLED, REFITS = "Fama-MacBeth", "pooled, two-way clusters", "refits"
EFFECTS = "effects of names and months, two-way clusters"
TWO_WAY = ["model=pooled", "model.cov=cluster", "model.clusters=[asset,date]"]
MODELS = {
    FAMA_MACBETH: ["model=fama_macbeth", f"model.mean_lags={LAGS}"],
    POOLED: TWO_WAY,
    EFFECTS: [*TWO_WAY, "model.effects=[asset,date]"],
    REFITS: [
        *("model=ridge_pooled", f"model.penalty={PENALTY}", "validation=walk_forward"),
        *(f"validation.first={FIRST}", f"validation.test={TEST}"),
    ],
}
SECONDS_OF_DEFAULT = 30.0  # of CPU that the turns of the default run take
Answer = dict[str, list[float]]
BestOfTurns = Callable[[Callable[[], Used]], Used]


# --- in a process of its own: from the file to the answer -----------------------------------------------------------


def characteristics_of(path: str) -> list[str]:
    import pyarrow.parquet as pq

    names = pq.read_schema(path).names
    return [name for name in names if name[0] == "c" and name[1:].isdigit()]


def panel_of(path: str) -> Any:
    """Rows of the characteristics and the return of the next month."""
    import runner
    from runner.data import File
    from runner.targets import forward_return

    names = characteristics_of(path)
    columns = {"date": "date", "asset": "permno", "ret": "ret"}
    source = File(path, columns | {name: name for name in names})
    return runner.panel(source, features={name: name for name in names}, target=forward_return)


def python(path: str, by: str | None, **settings: Any) -> Answer:
    """Ours, without the command line."""
    from runner.models import Regression

    fit = Regression(by=by, **settings).fit(panel_of(path))
    scope = "pooled" if by is None else "mean"
    rows = fit.coefficients[fit.coefficients["scope"] == scope]
    return {"estimate": rows["estimate"].tolist(), "error": rows["std_error"].tolist()}


def python_fama_macbeth(path: str) -> Answer:
    return python(path, "date", mean_lags=LAGS)


def python_pooled(path: str) -> Answer:
    return python(path, None, cov="cluster", clusters=["asset", "date"])


def python_effects(path: str) -> Answer:
    both = ["asset", "date"]
    return python(path, None, cov="cluster", clusters=both, effects=both)


def forecasts_of(path: str) -> Any:
    """Ours: a ridge over all rows, refitted on all months before."""
    import runner
    from runner.models import Regression
    from runner.validation import WalkForward

    model = Regression(by=None, estimator="ridge", penalty=PENALTY, standardise=False)
    return runner.forecast(model, panel_of(path), WalkForward(first=FIRST, test=TEST))


def python_refits(path: str) -> Answer:
    """The scores that the loop of scikit-learn has."""
    from runner.validation.accuracy import correlation, mae, rmse

    predictions = forecasts_of(path).predictions
    y = predictions["y"].to_numpy()
    forecast = predictions["prediction"].to_numpy()
    scores = [len(y), rmse(y, forecast), mae(y, forecast), correlation(y, forecast)]
    return {"score": [float(value) for value in scores]}


def python_refits_all_scores(path: str) -> Answer:
    """Every score and test, of each asset, of each fold and over all."""
    pooled = forecasts_of(path).scores.iloc[-1]
    return {"score": [float(pooled[name]) for name in ("n_obs", "rmse", "mae", "correlation")]}


def pandas_table(path: str) -> Any:
    """Rows with the return of the next month as y."""
    import pandas as pd

    names = characteristics_of(path)
    table = pd.read_parquet(path, columns=["date", "permno", "ret", *names])
    table["permno"] = table["permno"].astype("category").cat.codes
    table["date"] = pd.to_datetime(table["date"])
    table["y"] = table.groupby("permno")["ret"].shift(-1)
    return table.drop(columns="ret").dropna(subset="y")


def linearmodels_fama_macbeth(path: str) -> Answer:
    from linearmodels.panel import FamaMacBeth

    table = pandas_table(path).set_index(["permno", "date"])
    table.insert(0, "const", 1.0)
    y = table.pop("y")
    fit = FamaMacBeth(y, table).fit(cov_type="kernel", bandwidth=LAGS, debiased=False)
    return {"estimate": fit.params.tolist(), "error": fit.std_errors.tolist()}


def polars_fama_macbeth(path: str) -> Answer:
    """Without errors."""
    import polars as pl
    import polars_ols  # noqa: F401 (its import adds least_squares to expressions)

    names = characteristics_of(path)
    table = pl.read_parquet(path, columns=["date", "permno", "ret", *names])
    ahead = pl.col("ret").shift(-1).over("permno").alias("y")
    table = table.with_columns(ahead).drop_nulls("y")
    ols = pl.col("y").least_squares.ols(
        *map(pl.col, names), mode="coefficients", add_intercept=True
    )
    slopes = table.group_by("date").agg(ols.first().alias("b"))["b"].struct.unnest().mean()
    return {"estimate": [slopes["const"][0], *(slopes[name][0] for name in names)]}


def duckdb_fama_macbeth(path: str) -> Answer:
    """Without errors: sums of products by date in SQL, solved by numpy."""
    import duckdb
    import numpy as np

    names = characteristics_of(path)
    terms = ["1.0", *names]
    K = len(terms)
    pairs = [(j, k) for j in range(K) for k in range(j, K)]
    products = ", ".join(f"sum({terms[j]} * {terms[k]})" for j, k in pairs)
    with_target = ", ".join(f"sum({term} * y)" for term in terms)
    ahead = "lead(ret) OVER (PARTITION BY permno ORDER BY date) AS y"
    rows = f"SELECT date, {', '.join(names)}, {ahead} FROM read_parquet('{path}')"
    query = f"SELECT {products}, {with_target} FROM ({rows}) WHERE y IS NOT NULL GROUP BY date"
    found = np.column_stack(list(duckdb.sql(query).fetchnumpy().values()))
    XX = np.empty((len(found), K, K))
    for at, (j, k) in enumerate(pairs):
        XX[:, j, k] = XX[:, k, j] = found[:, at]
    slopes = np.linalg.solve(XX, found[:, len(pairs) :, None])[:, :, 0]
    return {"estimate": slopes.mean(axis=0).tolist()}


def pyfixest_pooled(path: str) -> Answer:
    return pyfixest(path, "")


def pyfixest_effects(path: str) -> Answer:
    return pyfixest(path, " | permno + date")


def pyfixest(path: str, effects: str) -> Answer:
    import pyfixest as pf

    table = pandas_table(path)
    names = [name for name in table if name not in ("date", "permno", "y")]
    ssc = pf.ssc(k_adj=True, k_fixef="full", G_adj=True, G_df="conventional")
    fit = pf.feols(
        "y ~ " + " + ".join(names) + effects,
        data=table,
        vcov={"CRV1": "permno+date"},
        ssc=ssc,
        fixef_rm="none",
        copy_data=False,
        store_data=False,
    )
    return {"estimate": fit.coef().tolist(), "error": fit.se().tolist()}


def sklearn_refits(path: str) -> Answer:
    """A loop over refits, and the scores of all forecasts."""
    import numpy as np
    from sklearn.linear_model import Ridge

    table = pandas_table(path)
    X = table.drop(columns=["date", "permno", "y"]).to_numpy()
    y = table["y"].to_numpy()
    dates, first = np.unique(table["date"].to_numpy(), return_index=True)
    edge = np.append(first, len(y))
    del table
    forecasts = np.full(len(y), np.nan)
    for month in range(FIRST, len(dates), TEST):
        test = slice(edge[month], edge[min(month + TEST, len(dates))])
        fit = Ridge(alpha=PENALTY).fit(X[: test.start], y[: test.start])
        forecasts[test] = fit.predict(X[test])
    known = np.isfinite(forecasts)
    error = y[known] - forecasts[known]
    correlation = np.corrcoef(y[known], forecasts[known])[0, 1]
    scores = [known.sum(), np.sqrt((error**2).mean()), np.abs(error).mean(), correlation]
    return {"score": [float(value) for value in scores]}


# --- measuring ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Peer:
    """A way to an answer: the question, its function above, and whether threads of BLAS change what it takes."""

    name: str
    task: str
    function: str
    blas: bool = False


PEERS = (
    Peer("ours, Python", FAMA_MACBETH, "python_fama_macbeth"),
    Peer("linearmodels FamaMacBeth", FAMA_MACBETH, "linearmodels_fama_macbeth", blas=True),
    Peer("polars, polars-ols, no errors", FAMA_MACBETH, "polars_fama_macbeth"),
    Peer("duckdb and numpy, no errors", FAMA_MACBETH, "duckdb_fama_macbeth"),
    Peer("ours, Python", POOLED, "python_pooled"),
    Peer("pyfixest feols, CRV1", POOLED, "pyfixest_pooled", blas=True),
    Peer("ours, Python", EFFECTS, "python_effects"),
    Peer("pyfixest feols, CRV1", EFFECTS, "pyfixest_effects", blas=True),
    Peer("ours, Python", REFITS, "python_refits"),
    Peer("ours, Python, all scores by asset and fold", REFITS, "python_refits_all_scores"),
    Peer("scikit-learn Ridge, a loop", REFITS, "sklearn_refits", blas=True),
)


def child(function: str, path: str, tiny: str) -> None:
    """Prints the answer, and the CPU seconds before it: of imports, and of what is compiled for a tiny file."""
    globals()[function](tiny)
    before = time.process_time()
    answer = globals()[function](path)
    print(json.dumps({"start": before, "answer": answer}))


def command_of(path: str, names: list[str], task: str) -> list[str]:
    """Our whole command line."""
    features = ",".join(f"{name}: {name}" for name in names)
    return [
        *(sys.executable, "-m", "runner", "data=file", f"data.path={path}"),
        *("data.columns.asset=permno", "data.columns.ret=ret", "experiment=none", "features=none"),
        *(f"features={{{features}}}", "target=forward_return", "validation=none"),
        *("report=tables", *MODELS[task]),
    ]


def answer_of_run(folder: Path, task: str) -> Answer:
    """What the last run in this folder found."""
    import csv

    run = sorted((folder / "outputs" / "runs").iterdir())[-1]
    if task == REFITS:
        metrics = json.loads((run / "metrics.json").read_text())
        names = ("n_obs", "rmse", "mae", "correlation")
        return {"score": [float(metrics[f"oos/{name}"]) for name in names]}
    scope = "pooled" if task in (POOLED, EFFECTS) else "mean"
    with (run / "coefficients.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["scope"] == scope]
    return {
        "estimate": [float(row["estimate"]) for row in rows],
        "error": [float(row["std_error"]) for row in rows],
    }


def gap(answer: Answer, ours: Answer) -> float:
    """The largest gap: of estimates in standard errors, of errors and scores as a share."""
    gaps = []
    for name, values in answer.items():
        scale = ours["error"] if name == "estimate" else ours[name]
        for value, own, unit in zip(values, ours[name], scale, strict=True):
            gaps.append(abs(value - own) / abs(unit))
    largest = max(gaps)
    if not largest < SAME or any(math.isnan(value) for value in gaps):
        raise SystemExit(f"answers differ: {answer} {ours}")
    return largest


def row(*cells: object) -> None:
    print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)


def compare(
    path: str, tiny: str, folder: Path, memory: float, seconds: int, best: BestOfTurns
) -> None:
    """Prints a row for each side of each question."""
    counted = measured([sys.executable, __file__, "names", path], folder)
    rows, *names = counted.out.split()
    print(
        f"{int(rows):,} rows, {len(names)} characteristics; others get {memory:g} GB of addresses\n"
    )
    row("task", "side", "CPU s", "beyond", "peak, GB", "CPU of ours", "memory of ours", "gap")
    row(*["---"] * 8)
    words = [sys.executable, "-m", "runner", "report=tables"]
    default = least(3, lambda: measured(words, folder), SECONDS_OF_DEFAULT).cpu
    for task in MODELS:
        of_task = command_of(path, names, task)
        command = best(lambda words=of_task: measured(words, folder))
        if command.failure:
            row(task, "ours, command", command.failure, "", f"{command.peak:.2f}", "", "", "")
            continue
        ours = answer_of_run(folder, task)
        own = command.cpu - default
        cpu, beyond, peak = f"{command.cpu:.1f}", f"{own:.1f}", f"{command.peak:.2f}"
        row(task, "ours, command", cpu, beyond, peak, "", "", "")
        disk = on_disk(of_task, task, folder, own, command, ours, best)
        row(task, "ours, command, on disk", *disk)
        for peer in PEERS:
            if peer.task != task:
                continue
            words = [sys.executable, __file__, "child", peer.function, path, tiny]
            settings = {"": {}, ", one thread": ONE_BLAS_THREAD} if peer.blas else {"": {}}
            for suffix, variables in settings.items():
                found = best(
                    lambda words=words, variables=variables: measured(
                        words, folder, memory, seconds, variables
                    ),
                )
                row(task, peer.name + suffix, *of_peer(found, own, command, ours))


def on_disk(
    words: list[str],
    task: str,
    folder: Path,
    own: float,
    command: Used,
    ours: Answer,
    best: BestOfTurns,
) -> list[str]:
    """The cells of our command on disk, which makes the market anew."""
    market = folder / "market"

    def anew() -> Used:
        shutil.rmtree(market, ignore_errors=True)
        return measured([*words, "data.on_disk=true", f"data.folder={market}"], folder)

    default = command.cpu - own
    found = best(anew)
    if found.failure:
        return failed(found, command)
    answer = answer_of_run(folder, task)
    return finished(found, found.cpu - default, own, command, gap(answer, ours))


def of_peer(found: Used, own: float, command: Used, ours: Answer) -> list[str]:
    """The cells of one peer."""
    if found.failure:
        return failed(found, command)
    told = json.loads(found.out.splitlines()[-1])
    apart = gap(told["answer"], ours)
    return finished(found, found.cpu - told["start"], own, command, apart)


def failed(found: Used, command: Used) -> list[str]:
    """The cells of a side without an answer."""
    times_memory = f"{found.peak / command.peak:.1f}"
    return [found.failure, f"{found.cpu:.1f}", f"{found.peak:.2f}", "", times_memory, ""]


def finished(found: Used, beyond: float, own: float, command: Used, apart: float) -> list[str]:
    """The cells of a side with an answer; CPU seconds beyond its start beside our own."""
    times_cpu = f"{beyond / own:.1f}"
    times_memory = f"{found.peak / command.peak:.1f}"
    used = [f"{found.cpu:.1f}", f"{beyond:.1f}", f"{found.peak:.2f}"]
    return [*used, times_cpu, times_memory, f"{apart:.0e}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--characteristics", type=int, default=10)
    parser.add_argument("--names", type=int, default=35_000)
    parser.add_argument("--memory", type=float, default=16.0)
    parser.add_argument("--seconds", type=int, default=900)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--least", type=float, default=0.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        simulate(folder / "tiny.parquet", TINY, asked.characteristics)
        path = folder / "months.parquet"
        if asked.file is None:
            simulate(path, asked.names, asked.characteristics)
        else:
            path = Path(asked.file).resolve()
        compare(
            str(path),
            str(folder / "tiny.parquet"),
            folder,
            asked.memory,
            asked.seconds,
            partial(least, asked.turns, seconds=asked.least),
        )


def simulate(path: Path, names: int, characteristics: int) -> None:
    """In a process of its own, which leaves this one small."""
    writer = str(Path(__file__).with_name("files.py"))
    words = [sys.executable, writer, "monthly", str(path), str(names), str(characteristics)]
    failure = measured(words, path.parent).failure
    if failure:
        raise SystemExit(failure)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
    elif sys.argv[1:2] == ["names"]:
        import pyarrow.parquet as pq

        print(pq.read_metadata(sys.argv[2]).num_rows, *characteristics_of(sys.argv[2]))
    else:
        main()
