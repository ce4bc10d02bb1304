"""A simulated file of minute bars, as the tests write it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS: dict[str, str | None] = {
    "date": "day",
    "time": "Time",
    "asset": "Ticker",
    "close": "close",
    "ret": "ret",
}


def bars(days: int = 2, minutes: int = 12, assets: int = 3, seed: int = 0) -> pd.DataFrame:
    """A row per day, minute from 09:31 on and asset: close, and ret with that of the first bar since the open."""
    rng = np.random.default_rng(seed)
    clock = [93100 + 100 * k + 4000 * ((31 + k) // 60) for k in range(minutes)]
    rows, level = [], 100.0 + np.arange(assets)
    for day in pd.bdate_range("2020-03-02", periods=days).strftime("%Y-%m-%d"):
        level = level * (1.0 + 0.05 * rng.normal(size=assets))  # over the night
        for at in clock:
            ret = 1e-3 * rng.standard_t(5, size=assets)
            level = level * (1.0 + ret)
            rows += [(day, at, f"A{i}", level[i], ret[i]) for i in range(assets)]
    return pd.DataFrame(rows, columns=["day", "Time", "Ticker", "close", "ret"])


def written(frame: pd.DataFrame, folder: Path, name: str = "bars.parquet") -> str:
    path = folder / name
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return str(path)
