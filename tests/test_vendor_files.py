"""Files as vendors write them: numbers of firms with zeros, headings, factors beside the assets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.data.joins.join import joined
from runner.data.joins.settings import FieldTable, Joined, LabelTable
from runner.data.market import Market
from runner.data.sources.file import File
from runner.errors import DataError

MONTHS = pd.date_range("2010-01-31", periods=24, freq="ME")
FIRMS = ["001690", "012141", "104503"]
RNG = np.random.default_rng(4)
RETURNS = pd.DataFrame(RNG.normal(0.01, 0.05, (24, 3)).round(5), MONTHS, ["AAA", "BBB", "CCC"])
FACTORS = pd.DataFrame(RNG.normal(0.01, 0.03, (24, 3)).round(5), MONTHS, ["Mkt-RF", "SMB", "HML"])


def market_of(names: list[str]) -> Market:
    cells = RETURNS.set_axis(names, axis=1).rename_axis("date")
    return Market("here", {"ret": cells}, pd.DataFrame(index=cells.index))


def read(folder: Path, text: str, **settings: Any) -> Market:
    path = folder / "p.csv"
    path.write_text(text)
    return File(path=str(path), columns={}, **settings).load()


@pytest.mark.parametrize("written", ["{:d}", "{:d}.0", "{:08d}"])
def test_numbers_of_firms_with_other_zeros_are_the_same_firms(tmp_path: Path, written: str) -> None:
    keys = [written.format(int(firm)) for firm in FIRMS]
    size = pd.DataFrame({"gvkey": keys, "date": MONTHS[0], "size": [1.0, 2.0, 3.0]})
    size.to_csv(tmp_path / "size.csv", index=False)
    sic = pd.DataFrame({"gvkey": keys, "sic": ["x", "y", "x"]})
    sic.to_csv(tmp_path / "sic.csv", index=False)
    tables = [
        Joined("data.fields.f", FieldTable(str(tmp_path / "size.csv"))),
        Joined("data.labels.l", LabelTable(str(tmp_path / "sic.csv"))),
    ]
    market = joined(market_of(FIRMS), tables)
    assert market.get("size").iloc[0].tolist() == [1.0, 2.0, 3.0]
    assert market.groups["sic"].tolist() == ["x", "y", "x"]
    assert not market.dropped
    for note in market.notes[-2:]:
        assert "assets that are the same number are the same: " in note


def test_a_number_that_may_be_two_firms_stays_none(tmp_path: Path) -> None:
    table = pd.DataFrame({"gvkey": ["7", "104503"], "date": MONTHS[0], "size": [1.0, 3.0]})
    table.to_csv(tmp_path / "size.csv", index=False)
    settings = FieldTable(str(tmp_path / "size.csv"))
    market = joined(market_of(["07", "007", "104503"]), [Joined("data.fields.f", settings)])
    assert market.get("size").iloc[0].isna().tolist() == [True, True, False]
    [line] = market.dropped
    assert (line.reason, line.rows) == ("asset that is not modelled", 1)


def test_headings_above_names_are_no_assets(tmp_path: Path) -> None:
    """AQR: lines of text, a merged heading, names, dates as 01/31/2010."""
    table = RETURNS.rename_axis("DATE").to_csv(date_format="%m/%d/%Y")
    market = read(tmp_path, f"AQR Capital\n\n,Equity,,\n{table}")
    assert np.array_equal(market.get("ret"), RETURNS)
    said = "The row of headings above the names of the columns (Equity) is not read."
    assert said in market.notes


@pytest.mark.parametrize("assets", [2, 3])
def test_settings_above_two_rows_of_names(tmp_path: Path, assets: int) -> None:
    """Bloomberg: start and end of the request, then tickers as merged cells over fields."""
    names = [f"{name} US Equity" for name in RETURNS.columns[:assets]]
    prices = (100.0 * (1.0 + RETURNS).cumprod()).round(4)
    width = 2 * assets
    lines = [f"Start Date,2010-01-31{',' * (width - 1)}", f"End Date,2011-12-31{',' * (width - 1)}"]
    lines += ["", "," + ",".join(f"{name}," for name in names)[:-1] + ","]
    lines += ["Dates" + ",PX_LAST,PX_VOLUME" * assets]
    for date, row in prices.iterrows():
        lines.append(f"{date:%Y-%m-%d}," + ",".join(f"{price},1000" for price in row[:assets]))
    market = read(tmp_path, "\n".join(lines))
    assert list(market.assets) == names
    assert np.array_equal(market.get("close"), prices.iloc[:, :assets])


def test_factors_beside_assets_are_no_assets(tmp_path: Path) -> None:
    text = RETURNS.join(FACTORS).assign(RF=0.001).rename_axis("Date").to_csv()
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    [line] = caught.value.mistakes
    mend = "data.macro={MktRF: Mkt-RF, SMB: SMB, HML: HML, RF: RF} takes them as series"
    assert "has Mkt-RF, SMB, HML, RF among its assets; " + mend in line
    macro = {"MktRF": "Mkt-RF", "SMB": "SMB", "HML": "HML", "RF": "RF"}
    market = read(tmp_path, text, macro=macro)
    assert np.array_equal(market.get("ret"), RETURNS)
    assert market.series["MktRF"].tolist() == FACTORS["Mkt-RF"].tolist()
    assert len(read(tmp_path, text, form="wide").assets) == 7
    assert list(read(tmp_path, text, assets=["AAA", "CCC"]).assets) == ["AAA", "CCC"]
    with pytest.raises(DataError, match="has RF among its assets"):
        read(tmp_path, RETURNS.assign(RF=0.001).rename_axis("Date").to_csv())
    # RF and CMA are tickers too, of Regions Financial and Comerica
    banks = RETURNS.set_axis(["RF", "CMA", "JPM"], axis=1)
    assert len(read(tmp_path, banks.rename_axis("Date").to_csv()).assets) == 3
