"""Does the VIX forecast the market? Spec S12: Mkt-RF of the next month on the VIX at month's end, 1990-2018."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import SHARED

from runner.cli.composition import Composer
from runner.experiment.run import run

FACTORS, VIX = (
    SHARED / "ff3_monthly_192607_201812_pct.csv.gz",
    SHARED / "vix_daily_1990_2026.csv.gz",
)
PRINTED_R2 = 0.5e-8  # the known answers have eight decimals, and six of Clark and West (2007)
PRINTED_T = 0.5e-6


def joined() -> pd.DataFrame:
    """Months 1990-01 to 2018-12: return over the bill rate, decimals, and the last close of the VIX."""
    for file in (FACTORS, VIX):
        if not file.exists():
            pytest.skip(f"no {file}: the real data is not part of the project")
    factors = pd.read_csv(FACTORS)
    month = pd.PeriodIndex(factors.iloc[:, 0].astype(str), freq="M")
    market = pd.Series(factors["Mkt-RF"].to_numpy() / 100.0, month)
    daily = pd.read_csv(VIX, parse_dates=["DATE"])
    level = daily.groupby(daily["DATE"].dt.to_period("M"))["CLOSE"].last()
    table = pd.DataFrame({"ret": market, "vix": level}).loc["1990-01":"2018-12"].dropna()
    dates = table.index.to_timestamp("M").normalize()
    return table.assign(date=dates, asset="market").reset_index(drop=True)


@pytest.mark.parametrize(
    ("purge", "train_rows", "r2", "clark_west"),
    [("known", 121, -0.02483219, -1.535935), ("strict", 120, -0.03168652, -1.747022)],
)
def test_the_market_on_the_vix_out_of_sample(
    tmp_path: Path, purge: str, train_rows: int, r2: float, clark_west: float
) -> None:
    table = joined()
    assert len(table) == 348
    table.to_csv(tmp_path / "market.csv", index=False)
    words = ["data=file", f"data.path={tmp_path / 'market.csv'}", "data.columns.date=date"]
    words += ["data.columns.asset=asset", "data.columns.close=null", "data.columns.volume=null"]
    words += ["data.market=null", "data.assets=null", "data.macro={}"]
    words += ["+data.columns.ret=ret", "+data.columns.vix=vix"]
    words += [
        "features=none",
        "+features.vix=vix",
        "target=forward_return",
        "validation=walk_forward",
    ]
    words += ["validation.first=121", "validation.test=1", f"validation.purge={purge}"]
    words += ["model.hypotheses=[]", "audit=off"]
    report = run(Composer().job(words).experiment)
    pooled = report.scores[report.scores["scope"] == "pooled"].iloc[0]
    first = report.folds.iloc[0]
    assert (len(report.folds), pooled["n_obs"]) == (226, 226)
    assert f"{first['test_start']:%Y-%m}" == "2000-02"  # made at its end, of the return of March
    assert (first["train_rows"], first["purged"]) == (train_rows, 121 - train_rows)
    assert pooled["r2"] == pytest.approx(r2, abs=PRINTED_R2)
    assert pooled["cw_stat"] == pytest.approx(clark_west, abs=PRINTED_T)

    y, x = table["ret"].to_numpy()[1:], table["vix"].to_numpy()[:-1]
    found = []
    for k in range(121, 347):
        past = slice(0, k - (purge == "strict"))
        b, a = np.polyfit(x[past], y[past], 1)
        found.append(a + b * x[k])
    assert report.predictions["prediction"].tolist() == pytest.approx(found, rel=1e-9)
