"""What a ragged panel costs: whole commands on files of months x names that come and go, beside plain rows.

python tests/benchmarks/ragged.py [NAMES ...]

Each file has 1,176 months of so many names (3500, 10000 and 35000 without any), listed for 98 months on average, a
twelfth of the cells, with a return and ten characteristics. A Fama-MacBeth regression, a pooled one refitted every
year, one of each asset, and pooled ones beside effects or industries that change are run by the command line without
page and pictures, after the default run; "plain" reads the same columns by pyarrow and solves each cross-section by
numpy. CPU seconds of all threads, the least of three turns or of as many as take 25 seconds, and the largest resident
size.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from measuring import measured, used

MONTHS, CHARACTERISTICS, LISTED = 1176, 10, 98
NAMES = (3_500, 10_000, 35_000)
TURNS = 3  # of each command, and more until they have taken
SECONDS = 25.0  # of CPU
MODELS = {
    "Fama-MacBeth, Newey-West": ["model=fama_macbeth"],
    "pooled, refitted each year": [
        "model=pooled",
        "validation=walk_forward",
        "validation.first=20y",
        "validation.test=1y",
    ],
    "each asset by itself": ["model=ols"],
    "pooled, effects of names and months": ["model=pooled", "model.effects=[asset,date]"],
    "pooled, dummies of a label that changes": ["model=pooled", "model.dummies=[industry]"],
}
PLAIN = """
import sys
import numpy as np, pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
date = table["date"].to_numpy().astype("datetime64[M]").astype(int)
name = table["permno"].to_numpy()
order = np.lexsort((name, date))
X = np.column_stack([table[c].to_numpy() for c in table.column_names if c.startswith("c")])[order]
date, name, ret = date[order], name[order], table["ret"].to_numpy()[order]
by_name = np.lexsort((date, name))
ahead = np.full(len(ret), np.nan)
first, second = by_name[:-1], by_name[1:]
follows = (name[first] == name[second]) & (date[first] + 1 == date[second])
ahead[first[follows]] = ret[second[follows]]
starts = np.flatnonzero(np.diff(date, prepend=-1))
slopes = []
for start, stop in zip(starts, [*starts[1:], len(date)]):
    known = np.isfinite(ahead[start:stop])
    if known.sum() > 12:
        Z = np.column_stack([np.ones(known.sum()), X[start:stop][known]])
        slopes.append(np.linalg.lstsq(Z, ahead[start:stop][known], rcond=None)[0])
path = np.array(slopes)
print(*path.mean(axis=0)[1:4])
"""


def write(path: Path, names: int) -> int:
    """A parquet file of these names; the number of its rows."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    start = rng.integers(-LISTED, MONTHS, names)
    life = rng.geometric(1.0 / LISTED, names)
    first = np.maximum(start, 0)
    rows = np.clip(start + life, 0, MONTHS) - first
    rows = np.maximum(rows, 0)
    name = np.repeat(np.arange(names), rows)
    month = np.arange(len(name)) - np.repeat(np.cumsum(rows) - rows, rows) + np.repeat(first, rows)
    ends = pd.date_range("1926-01-31", periods=MONTHS, freq="ME")
    table = pd.DataFrame({"date": ends[month], "permno": 10_000 + name})
    for k in range(CHARACTERISTICS):
        table[f"c{k}"] = rng.normal(size=len(name))
    industry = (name + month // 120) % 12
    table["industry"] = np.array([f"I{k:02}" for k in range(12)])[industry]
    table["ret"] = 0.01 + 0.1 * rng.normal(size=len(name))
    table.to_parquet(path, index=False)
    return len(name)


def command_of(path: Path, model: list[str]) -> list[str]:
    """The whole command line of one model."""
    names = [f"c{k}" for k in range(CHARACTERISTICS)]
    features = ",".join(f"{name}: {name}" for name in names)
    return [
        *(sys.executable, "-m", "runner", "data=file", f"data.path={path}"),
        *("data.columns.asset=permno", "data.columns.ret=ret", "experiment=none", "features=none"),
        *(f"features={{{features}}}", "target=forward_return", "report=tables", *model),
    ]


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or NAMES
    print(
        "| names | rows | task | default run, CPU s | ours beyond it | plain, CPU s | peak, GB | plain |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for names in sizes:
            path = place / "months.parquet"
            rows = int(
                measured([sys.executable, __file__, "write", str(path), str(names)], place).out
            )
            words = [sys.executable, "-m", "runner", "report=tables"]
            plain_words = [sys.executable, "-c", PLAIN, str(path)]
            plain, plain_peak = used(plain_words, place, TURNS, SECONDS)
            default, _ = used(words, place, TURNS, SECONDS)
            for task, model in MODELS.items():
                ours, peak = used(command_of(path, model), place, TURNS, SECONDS)
                beyond = f"{ours - default:.1f}"
                beside = (f"{plain:.1f}", f"{plain_peak:.2f}")
                if model != MODELS["Fama-MacBeth, Newey-West"]:
                    beside = ("", "")
                cells = (f"{names:,}", f"{rows:,}", task, f"{default:.1f}", beyond, beside[0])
                print("|", " | ".join([*cells, f"{peak:.2f}", beside[1]]), "|", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        print(write(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
