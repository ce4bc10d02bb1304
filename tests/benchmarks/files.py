"""Long files of names that come and go, written some dates at a time, so that they may be larger than memory.

    python tests/benchmarks/files.py monthly PATH NAMES CHARACTERISTICS
    python tests/benchmarks/files.py daily PATH MILLIONS

Rows are in order of date, then name. Monthly: 1,176 months, a name is listed for 98 of them on average, a twelfth of the
cells; a return and characteristics c0, c1, ... Daily: 25,000 days, a name is listed for 2,800, a tenth of the cells; a
return and a size. All is noise. The number of rows is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Columns = Callable[[np.random.Generator, np.ndarray], dict[str, np.ndarray]]

MONTHS, MONTHS_LISTED = 1176, 98
DAYS, DAYS_LISTED = 25_000, 2_800
NAMES_A_MILLION = 425  # those at both ends are listed for fewer days


def write(
    path: Path, dates: pd.DatetimeIndex, names: int, listed: int, stretch: int, columns: Columns
) -> int:
    """A parquet file of so many names, written `stretch` dates at a time; the number of its rows.

    Args:
        listed: dates that a name is listed for, on average.
        columns: columns (n,) of rows from their names (n,), given by number.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    first = rng.integers(-listed, len(dates), names)
    last = first + rng.geometric(1.0 / listed, names)
    permno = pa.array([str(10_000 + i) for i in range(names)])
    writer = None
    rows = 0
    for start in range(0, len(dates), stretch):
        date = np.arange(start, min(start + stretch, len(dates)))
        t, i = np.nonzero((first <= date[:, None]) & (date[:, None] < last[None, :]))
        name = pa.DictionaryArray.from_arrays(pa.array(i.astype(np.int32)), permno)
        table = pa.table({"date": dates[date[t]], "permno": name, **columns(rng, i)})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
        rows += len(t)
    assert writer is not None
    writer.close()
    return rows


def monthly(path: Path, names: int, characteristics: int) -> int:
    import numpy as np
    import pandas as pd

    def columns(rng: np.random.Generator, name: np.ndarray) -> dict[str, np.ndarray]:
        values = {f"c{k}": rng.standard_normal(len(name)) for k in range(characteristics)}
        return {**values, "ret": 0.01 + np.clip(0.1 * rng.standard_normal(len(name)), -0.9, 3.0)}

    months = pd.date_range("1926-01-31", periods=MONTHS, freq="ME")
    return write(path, months, names, MONTHS_LISTED, 60, columns)


def daily(path: Path, millions: int) -> int:
    import numpy as np
    import pandas as pd

    names = millions * NAMES_A_MILLION
    size = np.random.default_rng(1).normal(12, 2, names)

    def columns(rng: np.random.Generator, name: np.ndarray) -> dict[str, np.ndarray]:
        noise = rng.standard_normal((2, len(name)))
        return {
            "ret": np.clip(0.025 * noise[0], -0.95, 3.0),
            "me": np.exp(size[name] + 0.1 * noise[1]),
        }

    days = pd.bdate_range("1926-01-04", periods=DAYS)
    return write(path, days, names, DAYS_LISTED, 500, columns)


if __name__ == "__main__":
    kind, path, *numbers = sys.argv[1:]
    make = {"monthly": monthly, "daily": daily}[kind]
    print(make(Path(path), *map(int, numbers)))
