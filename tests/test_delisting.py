"""Delisting returns enter the returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.errors import RunnerError
from runner.experiment.spec import Data, build_data

MONTHS = pd.date_range("2020-01-31", periods=6, freq="ME")
LAST_DIGIT = 1e-15  # of returns of this size


def table() -> pd.DataFrame:
    """AAA stays, BBB has its delisting return beside its last return, CCC a month after it."""
    rng = np.random.default_rng(7)
    wide = pd.DataFrame(rng.normal(0.01, 0.05, (6, 3)).round(4), MONTHS, ["AAA", "BBB", "CCC"])
    wide.iloc[4:, 1] = np.nan
    wide.iloc[3:, 2] = np.nan
    rows = wide.rename_axis("date").reset_index().melt("date", var_name="asset", value_name="ret")
    rows["dlret"] = np.nan
    rows.loc[(rows["asset"] == "BBB") & (rows["date"] == MONTHS[3]), "dlret"] = -0.3
    rows.loc[(rows["asset"] == "CCC") & (rows["date"] == MONTHS[3]), "dlret"] = -1.0
    return rows.dropna(subset=["ret", "dlret"], how="all")


def data_of(tmp_path: Path, rows: pd.DataFrame, **settings: Any) -> Data:
    path = tmp_path / "own.csv"
    rows.to_csv(path, index=False)
    columns = {name: name for name in rows}
    node = {"_target_": "runner.data.File", "path": str(path), "columns": columns, **settings}
    return build_data({"name": "own", "data": node})


def refused(data: Data) -> str:
    with pytest.raises(RunnerError) as error:
        data.market()
    (line,) = error.value.mistakes
    return line


def test_they_enter_the_return_of_the_last_date(tmp_path: Path) -> None:
    rows = table()
    market = data_of(tmp_path, rows, delisting="dlret").market()
    read = market.returns()
    own = rows.pivot(index="date", columns="asset", values="ret")
    assert np.allclose(read["AAA"], own["AAA"], rtol=0.0, atol=LAST_DIGIT)
    assert read["BBB"].iloc[3] == pytest.approx(
        (1.0 + own["BBB"].iloc[3]) * 0.7 - 1.0, abs=LAST_DIGIT
    )
    assert read["CCC"].iloc[3] == -1.0
    assert read["BBB"].iloc[4:].isna().all() and read["CCC"].iloc[4:].isna().all()
    assert market.notes[-1] == (
        "Delisting returns (dlret) enter the returns of 2 assets, 1 beside a return, 1 without one: "
        "(1 + r)(1 + d) - 1, d alone where there is no return r."
    )


def test_they_enter_returns_made_of_prices(tmp_path: Path) -> None:
    rows = table()
    growth = (1.0 + rows["ret"].fillna(0.0)).groupby(rows["asset"]).cumprod()
    rows = rows.assign(close=(100.0 * growth).where(rows["ret"].notna())).drop(columns="ret")
    read = data_of(tmp_path, rows, delisting="dlret").market().returns()
    last = 1.0 + table().set_index(["asset", "date"])["ret"]["BBB"].iloc[3]
    assert read["BBB"].iloc[3] == pytest.approx(last * 0.7 - 1.0, abs=1e-12)
    assert read["CCC"].iloc[3] == -1.0


def test_they_may_be_a_joined_table(tmp_path: Path) -> None:
    rows = table()
    apart = tmp_path / "delisted.csv"
    rows.dropna(subset="dlret")[["date", "asset", "dlret"]].to_csv(apart, index=False)
    fields = {"delisted": {"path": str(apart)}}
    beside = data_of(tmp_path, rows[["date", "asset", "ret"]], delisting="dlret", fields=fields)
    joined_returns = beside.market().returns()
    one = data_of(tmp_path, rows, delisting="dlret")
    assert np.array_equal(joined_returns.iloc[:, :2], one.market().returns().iloc[:, :2], True)
    assert joined_returns["CCC"].iloc[3] == -1.0


def test_what_cannot_enter_is_one_line(tmp_path: Path) -> None:
    rows = table()
    assert "no field 'dl'; allowed: one of dlret, ret" in refused(
        data_of(tmp_path, rows, delisting="dl")
    )
    early = rows.assign(dlret=np.where(rows["date"] == MONTHS[1], -0.1, np.nan))
    line = refused(data_of(tmp_path, early, delisting="dlret"))
    assert "AAA and 2 other assets has one before its last return" in line and "2020-02-29" in line
    everywhere = rows.assign(dlret=-0.1)
    line = refused(data_of(tmp_path, everywhere, delisting="dlret"))
    assert "has several in dlret (first on 2020-01-31)" in line
    codes = rows.assign(dlret=rows["dlret"].where(rows["dlret"].isna(), -55.0))
    assert "dlret" in refused(data_of(tmp_path, codes, delisting="dlret"))
