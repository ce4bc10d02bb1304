"""Joined tables in the forms that the table of assets may have, with the same settings."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.data.joins.join import joined
from runner.data.joins.settings import ROLES, FieldTable, Joined, LabelTable, SeriesTable, Table
from runner.data.market import Market
from runner.data.sources.file import File
from runner.errors import DataError
from runner.schema.forms import Form

DAYS = pd.bdate_range("2020-02-03", periods=5)
NAMES = ["AAA", "BBB"]
SIZES = pd.DataFrame(np.arange(10.0).reshape(5, 2) + 0.5, DAYS.rename("Date"), NAMES)
ROLE = {"s": "series", "f": "fields", "l": "labels"}


def market() -> Market:
    cells = np.random.default_rng(3).normal(0.01, 0.05, SIZES.shape)
    index = DAYS.rename("date")
    return Market("here", {"ret": pd.DataFrame(cells, index, NAMES)}, pd.DataFrame(index=index))


def with_table(name: str, table: Table) -> Market:
    return joined(market(), [Joined(f"data.{ROLE[name]}.{name}", table)])


def refused(work: Callable[[], Any]) -> str:
    with pytest.raises(DataError) as error:
        work()
    (line,) = error.value.mistakes
    return line


def long() -> pd.DataFrame:
    return SIZES.reset_index().melt("Date", var_name="Ticker", value_name="size")


def is_size(market: Market, name: str = "size") -> None:
    assert np.array_equal(market.get(name), SIZES)


def words_of(market: Market, name: str) -> np.ndarray:
    """Labels (T, N) in words."""
    labels = market.labels[name]
    return np.array(labels.values)[labels.codes]


def test_every_setting_of_a_form_is_one_of_every_table() -> None:
    of_form = {field.name for field in fields(Form)}
    for kind in (File, *ROLES.values()):
        assert of_form <= {field.name for field in fields(kind)}


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_table_by_a_query(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "d.db"
    rows = long().assign(Date=lambda rows: rows["Date"].dt.strftime("%Y-%m-%d"))
    if kind == "sqlite":
        with sqlite3.connect(path) as connection:
            rows.to_sql("sizes", connection, index=False)
        connection.close()
    else:
        duckdb = pytest.importorskip("duckdb")
        with duckdb.connect(str(path)) as connection:
            connection.execute("create table sizes as select * from rows")
    query = "select * from sizes"
    is_size(with_table("f", FieldTable(str(path), query=query)))
    one = with_table("s", SeriesTable(str(path), query=f"{query} where Ticker = 'AAA'"))
    assert one.shared("size").tolist() == SIZES["AAA"].tolist()
    labels = with_table(
        "l", LabelTable(str(path), query="select distinct Ticker, 'x' as g from sizes")
    )
    assert labels.groups["g"].tolist() == ["x", "x"]
    line = refused(lambda: with_table("f", FieldTable(str(path))))
    assert "data.fields.f.query='select * from sizes' reads one" in line
    line = refused(lambda: with_table("f", FieldTable(str(path), query="drop table sizes")))
    assert line.startswith("data.fields.f.query: ")


def test_dates_that_can_be_read_in_two_ways_are_settled(tmp_path: Path) -> None:
    path = str(tmp_path / "f.csv")
    long().to_csv(path, index=False, date_format="%d/%m/%Y")
    line = refused(lambda: with_table("f", FieldTable(path)))
    assert "data.fields.f.date_format='%d/%m/%Y'" in line and "data.date_format" not in line
    is_size(with_table("f", FieldTable(path, date_format="%d/%m/%Y")))
    labels = with_table("l", LabelTable(path, {"g": "size"}, date_format="%d/%m/%Y"))
    assert words_of(labels, "g")[0].tolist() == ["0.5", "1.5"]


@pytest.mark.parametrize("columns", [None, "mcap"])
def test_a_field_of_dates_by_assets(tmp_path: Path, columns: str | None) -> None:
    path = str(tmp_path / "f.csv")
    SIZES.to_csv(path)
    line = refused(lambda: with_table("f", FieldTable(path)))
    assert line.endswith("dates x assets: data.fields.f.form=wide")
    wide = with_table("f", FieldTable(path, columns, form="wide"))
    is_size(wide, columns or "f")
    assert any("5 dates x 2 assets" in note for note in wide.notes)
    kept = with_table("f", FieldTable(path, columns, form="wide", percent=True, lag="1d"))
    assert np.array_equal(kept.get(columns or "f")[1:], SIZES[:-1] / 100.0)


def test_labels_of_dates_by_assets(tmp_path: Path) -> None:
    path = str(tmp_path / "l.csv")
    labels = pd.DataFrame("x", SIZES.index, NAMES)
    labels.iloc[3:, 1] = "y"
    labels.to_csv(path)
    read = with_table("l", LabelTable(path, "sector", form="wide"))
    assert np.array_equal(words_of(read, "sector"), labels)


def test_text_of_another_mark_is_said_with_the_settings_of_the_table(tmp_path: Path) -> None:
    path = str(tmp_path / "f.csv")
    long().to_csv(path, index=False, sep=";", decimal=",")
    read = with_table("f", FieldTable(path))
    is_size(read)
    said = " ".join(read.notes)
    assert "data.fields.f.delimiter=semicolon" in said and "data.fields.f.decimal=comma" in said
    is_size(with_table("f", FieldTable(path, delimiter="semicolon", decimal="comma")))


def test_several_files_are_one_table(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{name}.csv") for name in NAMES]
    for name, path in zip(NAMES, paths, strict=True):
        rows = long()
        rows[rows["Ticker"] == name].to_csv(path, index=False)
    for given in (paths, str(tmp_path), str(tmp_path / "*.csv")):
        is_size(with_table("f", FieldTable(given)))


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (SeriesTable, {}, "form: wide, but a series is the same for every asset"),
        (FieldTable, {"asset": "Ticker"}, "asset: given with form=wide"),
        (FieldTable, {"available": "d"}, "available: given with form=wide"),
        (FieldTable, {"columns": ["a"]}, "columns: of a wide table one name"),
        (LabelTable, {"columns": {"a": "b"}}, "columns: of a wide table one name"),
    ],
)
def test_settings_that_a_wide_table_has_not(
    kind: Any, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        kind("f.csv", form="wide", **settings)
