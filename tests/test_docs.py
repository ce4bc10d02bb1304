"""Every command and snippet of README and of `runner/docs` is run, as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clusters import free_port
from conftest import call_cli
from pages import BLOCK, PAGES, ROOT, blocks, called, commands, commands_of, printed

from runner.validation.scores import COLUMNS

# pages whose blocks have a test of their own, with their numbers
OWN_TESTS = {"data.md", "funds.md", "replications.md", "tables.md"}
MARKS = {
    "commands: offline",
    "commands: conf",
    "commands: signal",
    "commands: text",
    "commands: cluster",
    "command: run",
    "command: test",
    "python",
}
# what the dots of a command stand for
BASE = shlex.split(
    "experiment=none data=file data.path=panel.csv target=forward_return model=pooled features=none"
)
NAMES = [str(10001 + k) for k in range(30)]
MONTHS = pd.date_range("2012-01-31", periods=36, freq="ME")


def of_data() -> list[str]:
    """The commands of the page on data."""
    blocks = re.findall(r"```sh\n(.*?)\n```", PAGES["data.md"], flags=re.DOTALL)
    return [command for block in blocks for command in commands_of(block)]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command as a shell of a user takes it."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def written(name: str, folder: Path) -> Path:
    """The file that a page shows under a name of its own, written there."""
    [text] = blocks(f"file: {name}")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("command", commands("commands: offline"))
def test_a_command_of_a_page_runs(command: str, tmp_path: Path) -> None:
    outcome = called(command, tmp_path)
    assert outcome.code == 0, outcome.err
    assert outcome.out


@pytest.mark.parametrize(("command", "shown"), printed())
def test_what_a_page_shows_is_what_the_command_prints(
    command: str, shown: str, tmp_path: Path
) -> None:
    lines = [" ".join(line.split()) for line in called(command, tmp_path).out.splitlines()]
    for line in shown.splitlines():
        assert line == "..." or " ".join(line.split()) in lines, line


def test_your_own_conf(tmp_path: Path) -> None:
    written("conf/experiment/mine.yaml", tmp_path)
    written("conf/sweep/errors.yaml", tmp_path)
    for command in commands("commands: conf"):
        done = called(command, tmp_path)
        assert done.code == 0, done.err
        assert "Mom" in done.out


def test_your_own_signal_in_two_files(tmp_path: Path) -> None:
    written("my_signals.py", tmp_path)
    written("conf/features/reversal.yaml", tmp_path)
    [command] = commands("commands: signal")
    done = shell(command, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "reversal" in done.stdout


def test_features_as_text(tmp_path: Path) -> None:
    written("conf/features/mine.yaml", tmp_path)
    for command, term in zip(commands("commands: text"), ("calm", "size"), strict=True):
        done = called(command, tmp_path)
        assert done.code == 0, done.err
        assert term in done.out


def test_python_of_a_page_runs_and_leaves_nothing(tmp_path: Path) -> None:
    code = "\n".join(blocks("python"))  # a later one goes on from those before it
    (tmp_path / "snippet.py").write_text(code)
    done = shell("python snippet.py", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["snippet.py"]


def test_a_cluster_of_dask_as_a_page_starts_it(tmp_path: Path) -> None:
    [script] = blocks("commands: cluster")
    on_free_port = script.replace("8786", str(free_port()))
    done = shell(
        f"{on_free_port.rstrip()} data.assets=[S1V5]\ncode=$?\nkill %1 %2\nexit $code", tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "outputs" / "sweeps").iterdir())) == 1


def test_every_option_is_named_in_a_page() -> None:
    every = "".join(PAGES.values())
    for path in (ROOT / "conf").glob("*/*.yaml"):
        assert f"`{path.stem}`" in every, f"no page names {path.parent.name}={path.stem}"


def test_every_score_is_defined() -> None:
    for name in COLUMNS:
        plain = name.removesuffix("_naive")
        assert re.search(rf"`(oos/)?{plain}`", PAGES["metrics.md"]), name


def test_every_block_of_code_has_a_test() -> None:
    for name, text in PAGES.items():
        if name in OWN_TESTS:
            continue
        for mark, _, code in BLOCK.findall(text):
            marked = mark in MARKS or mark.startswith(("file: ", "printed by: "))
            shown = code.strip() in [command for command, _ in printed()]
            assert marked or shown, f"{name}: {code}"


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
    panel[["date", "permno", "ret"]].to_parquet(path / "crsp.parquet", index=False)
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


@pytest.mark.parametrize("command", of_data())
def test_a_command_of_the_page_on_data_runs(command: str, folder: Path) -> None:
    words = shlex.split(command)[3:]
    if words[0] == "...":
        words = [*BASE, *words[1:]]
    done = call_cli(folder, *words, "report=tables", "audit=off")
    assert done.code == 0, done.err
