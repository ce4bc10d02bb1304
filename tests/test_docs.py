"""Every command of the pages on data is run, on files such as the page speaks of."""

from __future__ import annotations

import re
import shlex
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import call_cli

PAGES = files("runner").joinpath("docs")
# tested page by page, with their numbers
OWN_TESTS = {"funds.md", "replications.md", "tables.md"}
COMMANDS = re.findall(
    r"```sh\n(.*?)\n```", (PAGES / "data.md").read_text(encoding="utf-8"), flags=re.DOTALL
)
# what the dots of a command stand for
BASE = shlex.split(
    "experiment=none data=file data.path=panel.csv target=forward_return model=pooled features=none"
)
NAMES = [str(10001 + k) for k in range(30)]
MONTHS = pd.date_range("2012-01-31", periods=36, freq="ME")


def lines() -> list[str]:
    """The commands, those on several lines as one."""
    commands = []
    for block in COMMANDS:
        whole = block.replace("\\\n", " ")
        commands += [line for line in whole.splitlines() if line.startswith("python -m runner")]
    return commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page: monthly returns and what is joined to them."""
    path = tmp_path_factory.mktemp("docs")
    rng = np.random.default_rng(0)
    keys = pd.MultiIndex.from_product([MONTHS, NAMES], names=["date", "permno"])
    panel = pd.DataFrame(index=keys).reset_index()
    n = len(panel)
    panel["ret"] = rng.normal(0.01, 0.05, n).round(6)
    panel["book_equity"] = rng.uniform(10.0, 90.0, n).round(3)
    panel["market_cap"] = rng.uniform(100.0, 900.0, n).round(3)
    panel["industry"] = np.where(panel["permno"].astype(int) % 3, "tech", "energy")
    panel.to_csv(path / "panel.csv", index=False)
    panel[["date", "permno", "ret"]].to_csv(path / "funds.csv", index=False)
    factors = pd.DataFrame(rng.normal(0.5, 3.0, (36, 3)).round(2), MONTHS.strftime("%Y%m"))
    factors.columns = pd.Index(["Mkt-RF", "SMB", "HML"])
    factors.assign(RF=0.1).to_csv(path / "F-F.csv", index_label="")
    first_days = MONTHS - pd.offsets.MonthBegin()
    bills = pd.DataFrame({"date": first_days, "TB3MS": np.linspace(1.5, 5.0, 36).round(2)})
    bills.to_csv(path / "TB3MS.csv", index=False)
    quarters = panel[panel["date"].dt.month % 3 == 0]
    reports = quarters[["date", "permno"]].assign(book=quarters["book_equity"])
    reports["published"] = reports["date"] + pd.DateOffset(days=45)
    reports.to_csv(path / "fundamentals.csv", index=False)
    spells = pd.DataFrame({"permno": NAMES[:20], "start": "2012-06-30", "ending": "2014-06-30"})
    spells.to_csv(path / "members.csv", index=False)
    caps = panel.pivot(index="date", columns="permno", values="market_cap")
    with pd.ExcelWriter(path / "caps.xlsx") as book:
        caps.to_excel(book, sheet_name="USD")
        caps.to_excel(book, sheet_name="EUR")
    duckdb = pytest.importorskip("duckdb")
    rates = pd.DataFrame({"date": MONTHS.strftime("%d/%m/%Y"), "RF": 0.001})
    with duckdb.connect(str(path / "own.duckdb")) as connection:
        connection.register("given", rates)
        connection.sql("create table rates as select * from given")
    return path


@pytest.mark.parametrize("command", lines())
def test_a_command_of_the_page_on_data_runs(command: str, folder: Path) -> None:
    words = shlex.split(command)[3:]
    if words[0] == "...":
        words = [*BASE, *words[1:]]
    done = call_cli(folder, *words, "report=tables", "audit=off")
    assert done.code == 0, done.err


def test_every_page_with_commands_has_a_test() -> None:
    untested = []
    for page in PAGES.iterdir():
        if page.name in {*OWN_TESTS, "data.md", "changelog.md"} or not page.name.endswith(".md"):
            continue
        if "```sh" in page.read_text(encoding="utf-8"):
            untested.append(page.name)
    assert untested == []
