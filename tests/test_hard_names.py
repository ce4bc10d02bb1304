"""Names are data: whatever an asset, a group or a file is called, it is shown and computed as any other."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Outcome, call_cli

from runner.text import shown

HOSTILE = [
    "mean",
    "all",
    "[/]",
    "[red]x",
    ":smile:",
    "\x1b[31mred",
    "\u202eabc",
    "a\nb",
    "a\rb",
    "\x07bell",
    "\x9b31mcsi",
    "$\\frac{x$",
    "_hidden",
    "<script>alert(1)</script>",
    "=1+1",
    "mean of 16",
]
PLAIN = [f"P{i:02d}" for i in range(len(HOSTILE))]
# what moves the cursor, colours, rings, or turns the direction of the text
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
SPEC = [
    *[
        "experiment=none",
        "data=file",
        "features=lagged_returns",
        "target=forward_return",
        "audit=off",
    ],
    *["report=tables", "validation=walk_forward", "validation.first=60", "validation.test=30"],
]


def prices(path: Path, names: list[str]) -> list[str]:
    """Prices under these names, each in the group of its own name, and the override that reads them."""
    rng = np.random.default_rng(0)
    dates = pd.bdate_range("2020-01-01", periods=150)
    cells = 100 * np.exp(rng.normal(0.0, 0.01, (150, len(names))).cumsum(axis=0))
    table = pd.DataFrame(cells, dates, names).rename_axis("Date").reset_index()
    rows = table.melt("Date", var_name="Ticker", value_name="Close")
    rows.assign(kind=rows["Ticker"].map(dict(zip(names, names, strict=True)))).to_parquet(path)
    return [f"data.path={path.name}"]


def safe(outcome: Outcome, code: int = 0) -> None:
    assert outcome.code == code, outcome.err
    for text in (outcome.out, outcome.err):
        assert not UNSAFE.search(text)
        assert "Traceback" not in text


def numbers(outcome: Outcome, names: list[str]) -> pd.DataFrame:
    """Estimates by scope, place of the unit among the names, and term."""
    file = outcome.directory / "coefficients.csv"
    table = pd.read_csv(file, keep_default_na=False, na_values=[""], dtype={"unit": "str"})
    place = {name: i for i, name in enumerate(names)}
    of_asset = table["scope"] != "mean"
    table["place"] = table["unit"].where(of_asset, "").map(place).fillna(-1)
    columns = ["estimate", "std_error"]
    return table.set_index(["scope", "place", "term"])[columns].sort_index()


@pytest.mark.parametrize(
    "words",
    [["model.by=asset"], ["model.by=kind", "data.groups.kind=kind"]],
    ids=["asset", "group"],
)
def test_numbers_do_not_depend_on_names_and_no_name_is_more_than_text(tmp_path, words) -> None:
    tables = []
    for names in (HOSTILE, PLAIN):
        folder = tmp_path / names[0]
        folder.mkdir()
        outcome = call_cli(folder, *SPEC, *prices(folder / "p.parquet", names), *words)
        safe(outcome)
        tables.append(numbers(outcome, names))
    # sums over assets go by sorted name: the last bits may differ
    pd.testing.assert_frame_equal(*tables, rtol=1e-9)
    assert len(tables[0]) == 4 * (len(HOSTILE) + 1)


def test_names_are_shown_as_they_are_written(tmp_path) -> None:
    path = prices(tmp_path / "p.parquet", HOSTILE[:8])
    outcome = call_cli(tmp_path, *SPEC, *path, "--full")
    safe(outcome)
    for text in ("[/]", "[red]x", ":smile:", r"\x1b[31mred", r"\u202eabc", r"a\nb"):
        assert re.search(rf"^{re.escape(text)} +ret_0|^{re.escape(text)} +const", outcome.out, re.M)


@pytest.mark.parametrize("verb", ["check", "run", "sweep"])
def test_every_page_and_table_takes_every_name(tmp_path, verb: str) -> None:
    path = prices(tmp_path / "p.parquet", HOSTILE)
    words = {
        "check": ["check", "data=file", *path, "data.groups.kind=kind"],
        "run": [*SPEC, *path, "report=full", "name='[/] :smile:'"],
        "sweep": ["-m", *SPEC, *path, "model.cov=HC1,HC3"],
    }
    outcome = call_cli(tmp_path, *words[verb])
    safe(outcome)
    for page in tmp_path.rglob("*.html"):
        assert "<script>alert(1)" not in page.read_text()


@pytest.mark.parametrize(
    "words", [["\x1b[31mx=1"], ["name=\udcff", "x=1"], ["list", "\x1b]0;x\x07"], ["\u202ex"]]
)
def test_what_is_typed_is_shown_as_it_is_written(tmp_path, words: list[str]) -> None:
    safe(call_cli(tmp_path, *words), code=2)


def test_every_letter_that_is_no_print_is_written_as_its_escape() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    text = shown(every)
    assert text.isprintable()
    assert shown(text) == text
    assert shown("é 日本 – <b>") == "é 日本 – <b>"
    assert shown("a\nb\x1b\u202e") == r"a\nb\x1b\u202e"
