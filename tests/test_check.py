"""`check`: the account of data against counts by hand, and what it prints, writes and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import runner
from runner.__main__ import main
from runner.data.accounts.account import Account, account_of
from runner.data.accounts.values import ANOTHER_SCALE, IN_PER_CENT
from runner.data.market import Market
from runner.data.notices import Dropped, Reading
from runner.data.rules import admitted
from runner.sinks.accounts import drawings
from runner.sinks.accounts.shown import COVERAGE, GAPS, shown
from runner.sinks.canvas import style

ROOT = Path(__file__).parent.parent
ROUNDING = 1e-12  # of a quotient of prices
DATES = pd.bdate_range("2020-01-01", periods=12, name="date")
TABLES = {
    "columns", "gaps", "coverage", "by_date", "joins", "moves", "units", "distribution", "labels",
    "dropped",
}  # fmt: skip


def market(**changes: object) -> Market:
    """Three assets on twelve weekdays but two; B begins late and has a hole, C has no value."""
    dates = DATES.delete([5, 6])
    close = pd.DataFrame(
        {"A": 100.0 * 1.01 ** np.arange(10.0), "B": 50.0, "C": np.nan}, index=dates
    )
    close.loc[dates[:3], "B"] = np.nan
    close.loc[dates[6], "B"] = np.nan
    close.loc[dates[9], "B"] = 75.0
    volume = close.where(close["A"] > 101.5).notna().where(lambda there: there)
    series = pd.DataFrame({"RF": 0.001, "vix": 20.0}, index=dates)
    series.loc[dates[2], "vix"] = np.nan
    groups = pd.DataFrame({"sector": ["x", "x", "unknown"]}, index=["A", "B", "C"])
    settings: dict[str, object] = {
        "source": "made",
        "fields": {"close": close, "volume": volume.astype(float)},
        "series": series,
        "groups": groups,
        "dropped": (Dropped("source row", "no date or no asset", 3),),
    }
    return Market(**{**settings, **changes})  # type: ignore[arg-type]


def told(made: Market) -> Account:
    return account_of(admitted(made, 1.0))


def test_coverage_by_asset_and_date() -> None:
    account = told(market())
    by_asset = account.coverage.set_index("asset")
    assert by_asset["values"].to_dict() == {"C": 0, "B": 6, "A": 10}
    assert list(account.coverage["asset"]) == ["C", "B", "A"]
    assert by_asset["share"].to_dict() == {"C": 0.0, "B": 0.6, "A": 1.0}
    assert by_asset.loc["B", "first"] == DATES[3]
    assert by_asset.loc["B", "last"] == DATES[11]
    assert by_asset["inside"].to_dict() == {"C": 0, "B": 1, "A": 0}
    assert by_asset.loc["C", ["first", "last"]].isna().all()
    assert account.by_date["assets"].tolist() == [1, 1, 1, 2, 2, 2, 1, 2, 2, 2]
    assert account.raster.to_numpy().sum() == 16
    assert list(account.raster.index) == ["A", "B", "C"]


def test_a_raster_of_many_assets_and_dates_is_drawn_evenly() -> None:
    dates = pd.bdate_range("2000-01-03", periods=1100)
    first = np.arange(300)
    cells = np.where(np.arange(1100)[:, None] >= first, 1.0, np.nan)
    names = [f"S{number:03}" for number in range(300)]
    made = Market("", {"ret": pd.DataFrame(cells, dates, names)}, pd.DataFrame(index=dates))
    raster = account_of(made).raster
    assert raster.shape == (200, 500)
    assert (raster.index[0], raster.index[-1]) == ("S000", "S299")
    assert raster.loc["S000"].eq(1.0).all()
    assert raster.to_numpy().mean() == pytest.approx(np.mean(~np.isnan(cells)), abs=2e-3)


@pytest.mark.parametrize(
    ("dates", "missing", "longest"),
    [
        (pd.bdate_range("2020-01-01", periods=40).delete([7, 8, 20]), 3, 2),
        (pd.date_range("2020-01-01", periods=40).delete([7, 8, 9, 20]), 4, 3),
        (pd.date_range("2020-01-31", periods=40, freq="ME").delete([7, 8, 20]), 3, 2),
        (pd.date_range("2020-01-03", periods=60, freq="W-FRI").delete([30]), 1, 1),
        (pd.bdate_range("2020-01-01", periods=40), 0, 0),
    ],
    ids=["weekdays", "every day", "months", "weeks", "none"],
)
def test_gaps_of_each_calendar(dates: pd.DatetimeIndex, missing: int, longest: int) -> None:
    frame = pd.DataFrame({"A": 0.01}, index=dates)
    account = account_of(Market("", {"ret": frame}, pd.DataFrame(index=dates)))
    assert account.gaps["missing"].sum() == missing
    if missing:
        assert account.gaps["missing"].iloc[0] == longest
    assert (GAPS in [table.heading for table in shown(account)]) == (longest > 1)


def test_dates_that_follow_no_calendar_have_a_longest_time_without_one() -> None:
    dates = pd.DatetimeIndex(["2000-01-03", "2000-01-20", "2000-02-01", "2001-07-01", "2001-07-20"])
    frame = pd.DataFrame({"A": 0.01}, index=dates)
    first = account_of(Market("", {"ret": frame}, pd.DataFrame(index=dates))).words[0]
    longest = "the longest time without one is 516 days, between 2000-02-01 and 2001-07-01"
    assert first == f"5 dates; {longest}."


def test_bars_have_gaps_of_days() -> None:
    days = pd.bdate_range("2020-01-01", periods=10).delete([4, 5])
    bars = [day + pd.Timedelta(minutes=570 + minute) for day in days for minute in range(30)]
    dates = pd.DatetimeIndex(bars)
    frame = pd.DataFrame({"A": 0.01}, index=dates)
    made = Market("", {"ret": frame}, pd.DataFrame(index=dates), sessions=True)
    gaps = account_of(made).gaps
    assert gaps["missing"].tolist() == [2]
    assert gaps["after"].iloc[0] == pd.Timestamp("2020-01-06")


def test_columns_say_what_met_a_row() -> None:
    readings = (
        Reading("prices.csv", "Date", "date", "date"),
        Reading("prices.csv", "Ticker", "asset", "asset", guessed=True),
        Reading("prices.csv", "Close", "close", "price"),
        Reading("prices.csv", "Vol", "volume", "field"),
        Reading("factors.csv", "rf", "RF", "series"),
        Reading("factors.csv", "VIX", "vix", "series"),
        Reading("sectors.csv", "Sector", "sector", "group"),
    )
    account = told(market(readings=readings))
    columns = account.columns.set_index("name")
    assert columns.loc["date", ["values", "missing"]].isna().all()
    assert columns.loc["close", ["values", "missing"]].tolist() == [16, 0]
    assert columns.loc["volume", ["values", "missing"]].tolist() == [14, 2]  # none of A's first two
    assert columns.loc["sector", ["values", "missing"]].tolist() == [2, 1]
    assert columns["how"].value_counts().to_dict() == {"given": 6, "recognised": 1}
    joins = account.joins.set_index("name")
    assert joins["table"].tolist() == ["factors.csv", "factors.csv", "sectors.csv"]
    assert joins["met"].tolist() == [10, 9, 2]
    assert joins["missed"].tolist() == [0, 1, 1]
    assert joins["share"].tolist() == pytest.approx([1.0, 0.9, 2 / 3])
    assert "Coverage of joined tables: RF 100.0 %, vix 90.0 %, sector 66.7 %." in account.words
    guess = "Recognised by name or content: asset = Ticker (change by data.columns)."
    assert guess in account.words


def test_a_source_that_reads_no_table_has_an_account_by_its_own_names() -> None:
    account = told(market())
    taken = dict(zip(account.columns["name"], account.columns["taken_for"], strict=True))
    assert taken == {
        "close": "price",
        "volume": "field",
        "RF": "series",
        "vix": "series",
        "sector": "group",
    }
    assert account.joins.empty
    joined = (Reading("rates.csv", "rf", "RF", "series"),)
    account = told(market(readings=joined))
    assert account.joins[["name", "table", "met"]].to_numpy().tolist() == [["RF", "rates.csv", 10]]
    assert len(account.columns) == 5


def test_largest_moves_are_those_of_a_plain_sort() -> None:
    rng = np.random.default_rng(3)
    dates = pd.bdate_range("2020-01-01", periods=300)
    cells = rng.standard_t(3, size=(300, 25)) / 100.0
    cells[rng.random(cells.shape) < 0.1] = np.nan
    names = [f"S{number:02}" for number in range(25)]
    frame = pd.DataFrame(cells, dates, names)
    account = account_of(Market("", {"ret": frame}, pd.DataFrame(index=dates)))
    flat = frame.stack()
    expected = flat.loc[flat.abs().nlargest(10).index]
    assert account.moves["return"].tolist() == expected.tolist()
    assert list(zip(account.moves["date"], account.moves["asset"], strict=True)) == list(
        expected.index
    )
    medians = frame.abs().median()
    assert account.moves["median_size"].tolist() == pytest.approx(
        medians[account.moves["asset"]].tolist()
    )
    assert account.distribution["values"].sum() == frame.notna().to_numpy().sum()
    middle = account.distribution[account.distribution["low"] * account.distribution["high"] < 0]
    assert len(middle) == 1  # zero is inside a bin


def test_fewer_moves_than_ten_and_none() -> None:
    few = told(market()).moves
    changes = market().fields["close"].pct_change(fill_method=None)
    assert len(few) == min(10, int(changes.notna().to_numpy().sum()))
    assert few["return"].iloc[0] == pytest.approx(0.5, abs=ROUNDING)
    nothing = market(fields={"close": market().fields["close"] * np.nan})
    account = account_of(nothing)
    assert account.moves.empty and account.distribution.empty
    assert account.units["remark"].tolist()[0] == "no value"


def test_units_are_medians_and_per_cent_is_suspected() -> None:
    rng = np.random.default_rng(1)
    dates = pd.bdate_range("2020-01-01", periods=400)
    ret = pd.DataFrame(rng.normal(size=(400, 3)) / 100.0, dates, ["A", "B", "C"])
    series = pd.DataFrame({"mkt": rng.normal(size=400), "level": 20.0}, index=dates)
    account = told(Market("", {"ret": ret}, series))
    units = account.units.set_index("name")
    cells = ret.to_numpy()
    assert units.loc["return per row", "median"] == np.median(cells)
    assert units.loc["return per row", "median_size"] == np.median(np.abs(cells))
    assert units.loc["mkt", "median"] == series["mkt"].median()
    times = series["mkt"].std() / cells.std(ddof=1)
    assert units["remark"].to_dict() == {
        "return per row": "",
        "mkt": ANOTHER_SCALE.format(times),
        "level": "",
    }
    in_per_cent = told(Market("", {"ret": 100.0 * ret.abs()}, pd.DataFrame(index=dates)))
    assert in_per_cent.units["remark"].tolist() == [IN_PER_CENT]


def test_returns_are_those_of_ret_where_both_are_given() -> None:
    dates = pd.bdate_range("2020-01-01", periods=4)
    close = pd.DataFrame({"A": [1.0, 2.0, 4.0, 8.0]}, dates)
    ret = pd.DataFrame({"A": [0.1, np.nan, 0.2, 0.3]}, dates)
    account = told(Market("", {"close": close, "ret": ret}, pd.DataFrame(index=dates)))
    assert account.moves["return"].tolist() == [0.3, 0.2, 0.1]
    assert account.coverage["values"].tolist() == [3]
    assert "Returns are those of ret, not changes of close." in account.notes


def test_groups_and_what_was_left_out() -> None:
    account = told(market())
    assert account.labels.to_dict("list") == {
        "group": ["sector", "sector"],
        "label": ["x", "unknown"],
        "assets": [2, 1],
    }
    assert account.dropped.to_dict("list")["rows"] == [3]


def prices(folder: Path) -> Path:
    rng = np.random.default_rng(5)
    dates = pd.bdate_range("2020-01-01", periods=300)
    frames = []
    for name in ("AAA", "BBB", "MKT"):
        close = 100.0 * np.exp(rng.normal(scale=0.01, size=300).cumsum())
        frames.append(pd.DataFrame({"Date": dates, "Ticker": name, "AdjClose": close}))
    table = pd.concat(frames).assign(Sector="tech")
    table = table[(table["Ticker"] != "BBB") | (table["Date"] >= dates[100])]
    path = folder / "prices.csv"
    table.to_csv(path, index=False)
    return path


FILE = ["data=file", "data.path=prices.csv", "data.columns.volume=null", "data.market=MKT"]

WIDE = ("data.form=wide", "data.values=close")


def test_the_command_prints_and_writes_the_account(cli, tmp_path) -> None:
    prices(tmp_path)
    done = cli("check", *FILE, "+data.groups.sector=Sector")
    assert done.code == 0, done.err
    assert done.out.startswith("file: 2 assets, 2020-01-01..2021-02-23\n")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "AdjClose close price given 500 0" in lines
    assert "AdjClose of MKT market market asset given 300 0" in lines
    assert (
        f"BBB {pd.bdate_range('2020-01-01', periods=300)[100]:%Y-%m-%d} 2021-02-23 200 0 66.7 %"
        in lines
    )
    [place] = (tmp_path / "outputs" / "check").iterdir()
    assert lines[-1] == f"Page and files: outputs/check/{place.name}"
    assert {path.stem for path in place.glob("*.csv")} == TABLES
    assert {path.stem for path in (place / "plots").iterdir()} == {
        "assets_by_date",
        "coverage",
        "returns",
    }
    page = (place / "check.html").read_text()
    assert page.count("<img") == 3
    assert COVERAGE in page and "tech (2)" in page
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == [
        "check"
    ]  # no ledger, no run


def test_a_wide_file_says_where_assets_and_values_stand(cli, tmp_path) -> None:
    wide = pd.read_csv(prices(tmp_path)).pivot(index="Date", columns="Ticker", values="AdjClose")
    wide.rename_axis("day").to_csv(tmp_path / "wide.csv")
    words = ("check", "data=file", "data.path=wide.csv", "experiment=none")
    lines = [" ".join(line.split()) for line in cli(*words).out.splitlines()]
    assert "day date date recognised" in lines
    assert "(headings) asset asset recognised" in lines
    assert "(cells) close price recognised 800 0" in lines
    given = [" ".join(line.split()) for line in cli(*words, *WIDE).out.splitlines()]
    assert "(headings) asset asset given" in given
    assert "(cells) close price given 800 0" in given


def test_a_narrow_terminal_breaks_texts_and_cuts_no_number(tmp_path, monkeypatch, capsys) -> None:
    prices(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["check", *FILE]) == 0
    of_check = capsys.readouterr().out
    assert main(["audit", "data=french"]) == 0
    of_audit = capsys.readouterr().out
    for out in (of_check, of_audit):
        assert "…" not in out
        wider = [line for line in out.splitlines() if len(line) > 80 and "outputs/" not in line]
        assert not wider
    assert "AdjClose of MKT" in " ".join(of_check.split())


def test_only_data_has_to_be_right(cli, tmp_path) -> None:
    prices(tmp_path)
    for words in (["experiment=ff3", "model.penalty=-1"], ["++features.x.y=1"]):
        broken = cli("check", *FILE, *words, "data.assets=[AAA]")
        assert broken.code == 0, (words, broken.err)


def test_a_word_without_a_value_is_one_line(cli) -> None:
    done = cli("check", "data")
    assert done.code == 2
    assert done.err == "error: data: cannot be read; an override is written key=value\n"


def test_json_is_one_object(cli) -> None:
    done = cli("check", "data=french", "--json")
    found = json.loads(done.out)
    assert (found["kind"], found["name"], len(found["coverage"])) == ("check", "french", 30)
    assert found["calendar"] == "monthly, 12 rows a year"
    assert Path(found["directory"]).parent == Path("outputs/check")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["data=file"], "error: data.path: missing"),
        (["data=file", "data.path=none.csv"], "error: data.path: no such file"),
        (["data=french", "data.assets=[S1V9]"], "error: data.assets: 'S1V9' is unknown"),
        (["data=frnch"], "error: data: 'frnch' is unknown"),
        (["data=french", "data.start=2090-01-01"], "error: "),
        (["data=french", "hydra.run.dir=."], "error: hydra.run.dir: '.' is not empty"),
    ],
)
def test_wrong_data_is_one_line(cli, tmp_path, words: list[str], line: str) -> None:
    (tmp_path / "something").touch()
    done = cli("check", *words)
    assert done.code == 2
    [said] = done.err.splitlines()
    assert said.startswith(line)
    assert not (tmp_path / "outputs").exists()


def test_too_many_values_that_break_a_rule_stop_it(cli, tmp_path) -> None:
    table = pd.read_csv(prices(tmp_path))
    table.loc[table.index[::5], "AdjClose"] *= -1.0
    table.to_csv(tmp_path / "prices.csv", index=False)
    done = cli("check", *FILE)
    assert done.code == 2 and "(data.allow_loss=" in done.err
    allowed = cli("check", *FILE, "data.allow_loss=0.3")
    assert allowed.code == 0 and "close is zero or negative" in allowed.out


@pytest.mark.parametrize("verb", ["audit", "check", "compare", "rerun", "snapshot", "sync", "ui"])
def test_every_verb_answers_help_and_does_nothing_else(cli, tmp_path, verb: str) -> None:
    for flag in ("--help", "-h"):
        done = cli(verb, flag)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"python -m runner {verb}")
    assert not list(tmp_path.iterdir())


def test_the_account_in_python(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    prices(tmp_path)
    found = runner.check(*FILE)
    assert repr(found).startswith(
        "<Check file: 2020-01-01..2021-02-23, daily, 252 rows a year. 300"
    )
    assert set(found.tables) == TABLES
    assert list(found.figures) == ["assets_by_date", "coverage", "returns"]
    assert "<h3>Data: file</h3>" in found._repr_html_()
    wide = pd.read_csv("prices.csv").pivot(index="Date", columns="Ticker", values="AdjClose")
    wide.index = pd.to_datetime(wide.index)
    of_frame = runner.check("data.values=close", "data.market=MKT", data=wide)
    pd.testing.assert_frame_equal(of_frame.account.coverage, found.account.coverage)
    pd.testing.assert_frame_equal(of_frame.account.moves, found.account.moves)
    assert not (tmp_path / "outputs").exists()
    place = found.save("kept")
    assert (place / "check.html").is_file()
    with pytest.raises(runner.SpecError, match="is not empty"):
        found.save("kept")


def test_a_report_opens_with_the_account(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = runner.run("data.assets=[S1V1,S1V5]", "audit=off", "report=tables")
    found = runner.check("data.assets=[S1V1,S1V5]")
    assert found.name == "ff3"
    assert report.reading[: len(found.account.words)] == found.account.words


def test_nothing_to_see_is_not_drawn_and_dates_are_named_by_years() -> None:
    french = runner.check("data=french").account
    assert french.whole
    assert drawings.coverage(french) is None and drawings.assets_by_date(french) is None
    with style():
        figure = drawings.series(french)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["MktRF", "SMB", "HML", "Mom", "RF"]
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert ticks == ["1960", "1980", "2000"]
    at = [int(tick) for tick in figure.axes[0].get_xticks()]
    assert [french.series["date"].iloc[place].year for place in at] == [1960, 1980, 2000]


def test_it_needs_no_heavy_library(tmp_path) -> None:
    code = (
        "import sys; from runner.__main__ import main\n"
        "main(['check', 'data=french', '--quiet'])\n"
        "print({'statsmodels', 'mlflow', 'sklearn', 'arch', 'linearmodels'} & set(sys.modules))"
    )
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
