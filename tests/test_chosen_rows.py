"""Rows of a table of assets chosen by what they have in a column: `data.where`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import runner
from runner.data import File
from runner.data.sources.frame import Frame
from runner.errors import DataError

MONTHS = pd.date_range("2015-01-31", periods=24, freq="ME")
COLUMNS = {"date": "date", "asset": "permno", "ret": "ret", "close": None}


def listings() -> pd.DataFrame:
    """Monthly returns of twelve names with codes of their shares and exchanges, one without."""
    rng = np.random.default_rng(0)
    names = pd.DataFrame(
        {
            "permno": np.arange(10001, 10013),
            "shrcd": [10.0, 11.0, 12.0, 31.0] * 3,
            "exchange": ["NYSE", "NASDAQ"] * 6,
        }
    )
    table = names.merge(pd.DataFrame({"date": MONTHS}), how="cross")
    table["ret"] = rng.normal(0.01, 0.05, len(table)).round(6)
    table.loc[5, "shrcd"] = np.nan
    return table


def written(path: Path, table: pd.DataFrame) -> Path:
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_rows_with_the_texts_are_read_and_counted(tmp_path, name: str) -> None:
    table = listings()
    path = written(tmp_path / name, table)
    rows = {"shrcd": [10, 11], "exchange": "NYSE"}
    market = File(str(path), COLUMNS, where=rows).load()
    chosen = table[table["shrcd"].isin([10, 11]) & (table["exchange"] == "NYSE")]
    expected = chosen.pivot(index="date", columns="permno", values="ret")
    assert list(market.assets) == [str(permno) for permno in expected]
    np.testing.assert_array_equal(market.fields["ret"].to_numpy(), expected.to_numpy())
    said = f"Rows with shrcd 10 or 11, exchange NYSE (data.where): {len(chosen)} of {len(table)}."
    assert said in market.notes
    assert "shrcd" not in market.unread


def test_rows_of_a_data_frame_are_chosen_alike(tmp_path) -> None:
    table = listings()
    path = written(tmp_path / "t.parquet", table)
    rows = {"shrcd": 31}
    settings = Frame({**COLUMNS, "close": None}, where=rows)
    of_frame = settings.of(table).load()
    of_file = File(str(path), COLUMNS, where=rows).load()
    pd.testing.assert_frame_equal(of_frame.fields["ret"], of_file.fields["ret"])


def test_repeated_rows_are_told_apart_by_a_column(tmp_path) -> None:
    table = listings().assign(format="INDL")
    both = pd.concat([table, table.assign(format="FS", ret=0.5)])
    path = written(tmp_path / "t.csv", both)
    with pytest.raises(DataError, match=r"data\.where\.COLUMN=TEXT .*shrcd, exchange, format"):
        File(str(path), COLUMNS).load()
    market = File(str(path), COLUMNS, where={"format": "INDL"}).load()
    assert (market.fields["ret"] != 0.5).all(axis=None)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            {"shrcd": [10, 13], "exchange": "AMEX"},
            [
                "data.where.shrcd: no row has '13'; allowed: 10, 11, 12, 31",
                "data.where.exchange: no row has 'AMEX'; allowed: NASDAQ, NYSE",
            ],
        ),
        (
            {"shrcd": 10, "exchange": "NASDAQ"},
            ["data.where: no row has shrcd 10, exchange NASDAQ together"],
        ),
        ({"exchnage": "NYSE"}, ["data.where.exchnage: column 'exchnage' is unknown"]),
    ],
)
def test_a_choice_that_no_row_meets_is_refused(tmp_path, rows, says: list[str]) -> None:
    path = written(tmp_path / "t.csv", listings())
    with pytest.raises(DataError) as error:
        File(str(path), COLUMNS, where=rows).load()
    for line, start in zip(error.value.mistakes, says, strict=True):
        assert line.startswith(start)


def test_a_wide_file_has_no_rows_to_choose(tmp_path) -> None:
    wide = listings().pivot(index="date", columns="permno", values="ret")
    path = tmp_path / "wide.csv"
    wide.to_csv(path)
    with pytest.raises(DataError, match=r"data\.where\.shrcd: 'shrcd' is no column"):
        File(str(path), COLUMNS, form="wide", values="ret", where={"shrcd": 10}).load()


def test_rows_are_chosen_from_the_command_line(cli, tmp_path) -> None:
    written(tmp_path / "t.csv", listings())
    words = ["experiment=none", "data=file", "data.path=t.csv", "features=none", "report=tables"]
    done = cli(*words, "target=same_period_return", "data.where.shrcd=[10,11]", "audit=off")
    assert done.code == 0, done.err
    assert done.table("quality")["unit"].nunique() == 6


def test_returns_of_a_later_row_by_their_name_are_noted(tmp_path) -> None:
    path = written(tmp_path / "t.csv", listings().rename(columns={"ret": "ret_exc_lead1m"}))
    market = File(str(path), {**COLUMNS, "ret": "ret_exc_lead1m"}).load()
    note = "data.columns.ret: 'ret_exc_lead1m' is the return of a later row by its name"
    assert any(line.startswith(note) for line in market.notes)


def test_a_spec_with_rows_is_a_run_in_python() -> None:
    report = runner.run(
        "experiment=none",
        "features=none",
        "target=same_period_return",
        "data.columns={date: date, asset: permno, ret: ret}",
        "data.where={exchange: NYSE}",
        data=listings(),
    )
    assert report.quality["unit"].nunique() == 6
