"""Columns that features, target or model name are read without being declared, and said."""

from __future__ import annotations

import json
import sqlite3
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import call_cli
from test_tracking import runs_of

import runner
from runner.cli.composition import Composer
from runner.data.market import Market
from runner.data.notices import Reading
from runner.data.sources.file import File
from runner.errors import DataError, RunnerError
from runner.experiment.nodes import Builder, asking, kinds_of, source_of
from runner.experiment.spec import build
from runner.features.asked import Named, by_settings, by_text, together
from runner.features.expressions import Expression
from runner.models.regression import Regression
from runner.record.identity import family_key
from runner.record.ledger import VERSION, Ledger
from runner.schema.settings import Asked
from runner.targets import forward_return

T, N = 60, 12
LEDGER = Path("outputs/ledger.db")
ROUNDING = 1e-12  # of the same sums in another order
SPEC = (
    "experiment=none",
    "data=file",
    "data.path=f.csv",
    "target=forward_return",
    "target.horizon=1",
    "validation=none",
    "features=none",
    "model.by=date",
    "report=tables",
)
COLUMNS = "data.columns={date: date, asset: asset, close: close, %s}"
SAID = "Columns read because the spec names them: %s."


def table(**further: object) -> pd.DataFrame:
    """Prices (T, N) and characteristics, a row per date and asset."""
    rng = np.random.default_rng(7)
    dates = pd.date_range("2010-01-31", periods=T, freq="ME")
    returns = rng.normal(0.01, 0.05, (T, N))
    prices = 100.0 * np.cumprod(1.0 + returns, axis=0)
    names = [f"A{number:02}" for number in range(N)]
    rows = pd.DataFrame(
        {
            "date": np.repeat(dates, N),
            "asset": names * T,
            "close": prices.ravel(),
            "book_equity": np.exp(rng.normal(size=T * N)),
            "size": rng.normal(size=T * N),
            "sector": ["oil", "tech", "banks"] * (T * N // 3),
            "sic": [10, 20] * (T * N // 2),
        }
    )
    return rows.assign(**further)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the table as f.csv."""
    table().to_csv(tmp_path / "f.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read, one entry a time."""
    read = []
    load = File.load

    def counted(source: File) -> Market:
        read.append(str(source.path))
        return load(source)

    monkeypatch.setattr(File, "load", counted)
    return read


def metrics(*words: str) -> dict[str, float]:
    return runner.run(*SPEC, *words).metrics


def said(*words: str) -> tuple[dict[str, float], str]:
    """The metrics of a run, and the line on the columns that the spec names."""
    report = runner.run(*SPEC, *words)
    [line] = [line for line in report.reading if line.startswith(SAID.partition("%")[0])]
    return report.metrics, line


def refused(*words: str) -> str:
    """The one line of a run that stops."""
    with pytest.raises(RunnerError) as caught:
        runner.run(*SPEC, *words)
    (line,) = caught.value.mistakes
    return line


@pytest.mark.parametrize(
    ("named", "columns", "declared"),
    [
        (["features.x=rank(book_equity)"], "book_equity", ["book_equity: book_equity"]),
        (
            ["features.x={_target_: runner.features.field, name: book_equity}"],
            "book_equity",
            ["book_equity: book_equity"],
        ),
        (["features.x=size", "model.weights=book_equity"], "book_equity, size", ["size: size", "book_equity: book_equity"]),
        (
            ["features.x={_target_: runner.features.group_mean, of: book_equity, group: sic}"],
            "book_equity, sic",
            ["book_equity: book_equity"],
        ),
    ],
    ids=["expression", "setting", "weights", "group of numbers"],
)  # fmt: skip
def test_a_column_that_is_named_is_read_as_if_it_were_declared(
    folder: Path, named: list[str], columns: str, declared: list[str]
) -> None:
    numbers, line = said(*named)
    assert line == SAID % columns
    groups = ["data.groups={sic: sic}"] if "sic" in columns else []
    assert numbers == metrics(*named, COLUMNS % ", ".join(declared), *groups)


def test_labels_of_the_model_and_of_expressions_are_read(folder: Path) -> None:
    named = ["features.x=rank(book_equity, sector)", "model.by=sic", "model.cov=cluster", "model.clusters=[sector]"]  # fmt: skip
    report = runner.run(*SPEC, *named)
    assert SAID % "book_equity, sector, sic" in report.reading
    declared = [COLUMNS % "book_equity: book_equity", "data.groups={sector: sector, sic: sic}"]
    assert report.metrics == metrics(*named, *declared)
    assert set(report.coefficients["unit"]) >= {"10", "20"}  # numbers as labels


def test_members_and_delisting_returns_are_columns_by_their_own_setting(folder: Path) -> None:
    rows = table(listed="in")
    rows.loc[rows["asset"].isin(["A00", "A05"]), "listed"] = None
    rows["dlret"] = np.nan
    ends = (rows["asset"] == "A03") & (rows["date"] == rows["date"].max())
    rows.loc[ends, "dlret"] = -0.4
    rows.to_csv("f.csv", index=False)
    named = ["features.x=size", "data.members=listed", "data.delisting=dlret"]
    numbers, line = said(*named)
    assert line == SAID % "size, listed, dlret"
    declared = [COLUMNS % "size: size, dlret: dlret", "data.groups={listed: listed}"]
    assert numbers == metrics(*named, *declared)
    every = metrics("features.x=size")
    assert numbers["coef/x"] != every["coef/x"]


def test_check_reads_what_features_name_and_says_so(folder: Path) -> None:
    done = call_cli(folder, "check", *SPEC[:-1], "features.x=book_equity", "model.by=sector")
    assert done.code == 0, done.err
    assert SAID % "book_equity, sector" in " ".join(done.out.split())
    account = runner.check(*SPEC, f"data.path={folder}/f.csv", "features.x=book_equity")
    columns = account.tables["columns"].set_index("name")
    assert columns.loc["book_equity", ["taken_for", "how"]].tolist() == [
        "field",
        "named by the spec",
    ]
    assert "size" not in columns.index


def test_what_a_spec_names_is_kept_with_it_and_rerun_gives_every_bit(folder: Path) -> None:
    done = call_cli(folder, *SPEC, "features.x=book_equity")
    assert done.code == 0, done.err
    spec = yaml.safe_load((done.directory / "spec.yaml").read_text())
    assert spec["data"]["asked"] == {"number": ["book_equity"]}
    [run] = runs_of(folder)
    again = call_cli(folder, "rerun", run.info.run_id)
    assert again.code == 0, again.out + again.err
    assert "bit-identical" in again.out


def test_a_frame_in_python_gives_what_is_named(folder: Path) -> None:
    words = [word for word in SPEC if not word.startswith(("data", "experiment"))]
    frame = table()
    columns = "data.columns={date: date, asset: asset, close: close}"
    named = runner.run(*words, columns, "features.x=book_equity", "model.by=sector", data=frame)
    assert named.about["fingerprint"]
    declared = "data.columns={date: date, asset: asset, close: close, book_equity: book_equity}"
    by_hand = runner.run(
        *words, declared, "data.groups={sector: sector}", "features.x=book_equity",
        "model.by=sector", data=frame,
    )  # fmt: skip
    pd.testing.assert_frame_equal(named.coefficients, by_hand.coefficients)


def test_a_panel_in_python_groups_by_a_column_of_its_frame() -> None:
    rows = table()
    target = partial(forward_return, horizon=1)
    panel = runner.panel(rows, features={"x": "demean(size, sector)"}, target=target)
    by_hand = rows["size"] - rows.groupby(["date", "sector"])["size"].transform("mean")
    assert panel.X[..., 0].ravel() == pytest.approx(by_hand.to_numpy(), abs=ROUNDING)


# sweeps


def test_jobs_that_name_different_columns_share_one_reading(folder: Path, reads: list[str]) -> None:
    words = [word for word in SPEC if not word.startswith("data.path")]
    place = f"data.path={folder}/f.csv"
    swept = runner.sweep(*words, place, "features.x=book_equity,size,close")
    assert len(reads) == 1
    reports = list(swept.reports.values())
    assert len({report.about["fingerprint"] for report in reports}) == 1
    assert {*map(str, (report.spec["data"]["asked"] for report in reports))} == {
        "{'number': ['book_equity', 'size']}"
    }
    declared = "data.columns={date: date, asset: asset, close: close, book_equity: book_equity, size: size}"  # fmt: skip
    by_hand = runner.sweep(*words, place, declared, "features.x=book_equity,size,close")
    for number, report in swept.reports.items():
        assert report.metrics == by_hand.reports[number].metrics


def test_a_sweep_resumes_and_a_job_of_it_runs_again_with_the_same_data(folder: Path) -> None:
    place = "hydra.sweep.dir=outputs/sweeps/s"
    words = ("-m", *SPEC, "features.x=book_equity,size", "executor=inline", place)
    done = call_cli(folder, *words)
    assert done.code == 0, done.err
    plan = json.loads((folder / "outputs/sweeps/s/plan.json").read_text())
    assert plan["asked"] == {"number": ["book_equity", "size"]}
    assert len({job["fingerprint"] for job in plan["jobs"]}) == 1
    before = [job["key"] for job in plan["jobs"]]
    again = call_cli(folder, "resume", "s")
    assert again.code == 0, again.err
    plan = json.loads((folder / "outputs/sweeps/s/plan.json").read_text())
    assert [job["key"] for job in plan["jobs"]] == before
    [first] = [run for run in runs_of(folder) if run.data.tags.get("job.number") == "0"]
    rerun = call_cli(folder, "rerun", first.info.run_id)
    assert rerun.code == 0, rerun.out + rerun.err


def test_a_job_is_the_same_whatever_columns_other_jobs_name(folder: Path) -> None:
    """Alone, in a sweep, and in one with a job more, whose column is read for all."""
    alone = runner.run(*SPEC, "features.x=book_equity", "model.rows=common", save=True)
    keys = []
    for number, values in enumerate(("book_equity,size", "book_equity,size,sic")):
        place = f"hydra.sweep.dir=outputs/sweeps/s{number}"
        words = ("-m", *SPEC, f"features.x={values}", "executor=inline", place)
        done = call_cli(folder, *words)
        assert done.code == 0, done.err
        plan = json.loads((folder / f"outputs/sweeps/s{number}/plan.json").read_text())
        keys.append([job["key"] for job in plan["jobs"]])
        again = call_cli(folder, "resume", f"s{number}")
        assert "0 to run" in again.err or "nothing" in again.err, again.err
    assert keys[1][:2] == keys[0]
    assert alone.about["job"] == keys[0][0]
    assert Ledger(LEDGER).count(family_key(alone.spec, str(alone.about["sample"]))).trials == 3


def test_jobs_that_scores_lead_to_read_what_any_of_them_may_name() -> None:
    composer = Composer()
    words = [*SPEC, "features.x=book_equity,size", "sweep.search=bayes", "sweep.draws=4"]
    plan = composer.plan([*words, "sweep.score=fit/r2"])
    assert plan.jobs == ()
    job = composer.planned(plan, 0, ["+features.x=size"])
    assert job.asked == plan.asked == {"number": ["book_equity", "size"]}


@pytest.mark.parametrize(
    ("word", "setting"),
    [
        ("model.by=sctr", "by"),
        ("model.by=sectr", "by"),
        ("model.effects=[sectr]", "effects"),
        ("model.clusters=[date,sectr]", "clusters"),
        ("model.dummies=[sectr]", "dummies"),
    ],
)
def test_the_nearest_column_is_named_for_labels_of_the_model_too(
    folder: Path, word: str, setting: str
) -> None:
    pooled = [] if setting == "by" else ["model=pooled", "model.by=null"]
    with pytest.raises(DataError) as caught:
        runner.run(*SPEC, "features.x=size", *pooled, word)
    [line] = caught.value.mistakes
    assert line.startswith(f"model.{setting}: 'sect" if "sectr" in word else "model.by: 'sctr'")
    assert line.endswith("did you mean 'sector'?")


# trials


def counted(*words: str) -> int:
    """The trials that the ledger has on the rows and target of a run, after it."""
    report = runner.run(*SPEC, *words, save=True)
    return Ledger(LEDGER).count(family_key(report.spec, str(report.about["sample"]))).trials


def test_the_count_of_trials_goes_on_whatever_column_is_named(folder: Path) -> None:
    assert counted("features.x=book_equity") == 1
    assert counted("features.x=size") == 2
    assert counted("features.x=size") == 2
    assert counted("features.x=log(sic)", COLUMNS % "sic: sic") == 3
    assert counted("features.x=rank(size, sector)", "data.groups.other=sector") == 4
    assert counted("features.x=size", "data.start=2011-01-01") == 1
    assert counted("features.x=size", "target.horizon=2") == 1


def test_trials_of_earlier_versions_are_counted_on(folder: Path) -> None:
    """They were counted under the digest of all that was read: here of the declared columns."""
    declared = COLUMNS % "sic: sic"
    report = runner.run(*SPEC, declared, "features.x=log(close)", save=True)
    earlier = family_key(report.spec, str(report.about["fingerprint"]))
    now = family_key(report.spec, str(report.about["sample"]))
    assert earlier != now
    with sqlite3.connect(LEDGER) as book:
        book.execute("update trials set family = ?", (earlier,))
    assert Ledger(LEDGER).count(now).trials == 0
    assert counted(declared, "features.x=book_equity") == 2
    assert Ledger(LEDGER).count(earlier).trials == 0


def digest_of_earlier_versions(market: Market) -> str:
    """The digest of all fields as frames, as it was before sparse ones were kept long."""
    digest = blake2b(digest_size=16)
    assert market.market_close is None
    assert market.market_ret is None
    for name, frame in [*sorted(market.fields.items()), ("series", market.series)]:
        names = [str(column) for column in frame.columns]
        digest.update(repr((name, frame.shape, names)).encode())
        cells = np.array(frame.to_numpy(dtype=float), order="C")
        cells[np.isnan(cells)] = np.nan
        digest.update((cells + 0.0).tobytes())
    digest.update(market.dates.as_unit("us").asi8.tobytes())
    digest.update(market.groups.to_csv().encode())
    assert not market.labels
    return digest.hexdigest()


@pytest.fixture
def sparse(folder: Path) -> Market:
    """Of each asset some months, so that fewer than half of the cells have a row."""
    rows = table()
    number = rows["asset"].str[1:].astype(int)
    month = (rows["date"].dt.year - 2010) * 12 + rows["date"].dt.month
    kept = rows[(month > 3 * number) & (month < 3 * number + 24)]
    kept[["date", "asset", "close", "size"]].to_csv(folder / "f.csv", index=False)
    return File("f.csv", {name: name for name in ("date", "asset", "close", "size")}).load()


@pytest.mark.parametrize("version", [0, VERSION])
def test_trials_of_earlier_versions_on_sparse_data_are_counted_on(
    sparse: Market, version: int
) -> None:
    spec = (*SPEC, COLUMNS % "size: size")
    report = runner.run(*spec, "features.x=log(close)", save=True)
    assert report.about["fingerprint"] == sparse.fingerprint
    whole = digest_of_earlier_versions(sparse)
    assert whole == sparse.fingerprint_of_earlier_versions != sparse.fingerprint
    earlier = family_key(report.spec, whole)
    with sqlite3.connect(LEDGER) as book:
        assert book.execute("pragma user_version").fetchone() == (VERSION,)
        book.execute("update trials set family = ?", (earlier,))
        book.execute(f"pragma user_version = {version}")  # earlier versions left 0
    of_earlier = version == 0
    assert Ledger(LEDGER).of_earlier_version() == of_earlier
    assert counted(COLUMNS % "size: size", "features.x=size") == 1 + of_earlier
    # a column that is read undeclared was none that earlier versions had
    assert counted("features.x=size", "features.y=log(close)") == 2 + of_earlier


def test_a_rerun_counts_trials_of_earlier_versions_too(folder: Path) -> None:
    words = (COLUMNS % "sic: sic", "features.x=log(close)")
    assert call_cli(folder, *SPEC, *words).code == 0
    report = runner.run(*SPEC, *words)
    earlier = family_key(report.spec, str(report.about["fingerprint"]))
    with sqlite3.connect(LEDGER) as book:
        book.execute("update trials set family = ?", (earlier,))
    [run] = runs_of(folder)
    again = call_cli(folder, "rerun", run.info.run_id)
    assert again.code == 0, again.out + again.err
    now = family_key(report.spec, str(report.about["sample"]))
    assert Ledger(LEDGER).count(now).trials == 1


def test_a_sweep_counts_trials_of_earlier_versions_on(folder: Path) -> None:
    report = runner.run(*SPEC, COLUMNS % "sic: sic", "features.x=log(close)", save=True)
    earlier = family_key(report.spec, str(report.about["fingerprint"]))
    with sqlite3.connect(LEDGER) as book:
        book.execute("update trials set family = ?", (earlier,))
    words = ("-m", *SPEC, COLUMNS % "sic: sic", "features.x=book_equity,size", "executor=inline")  # fmt: skip
    done = call_cli(folder, *words)
    assert done.code == 0, done.err
    now = family_key(report.spec, str(report.about["sample"]))
    assert Ledger(LEDGER).count(now).trials == 3


def test_the_sample_is_that_of_rows_and_target(folder: Path) -> None:
    def market(**further: object) -> Market:
        table(**further).to_csv(folder / "g.csv", index=False)
        asked = {"number": ["book_equity", "size"]}
        return File(str(folder / "g.csv"), {}, asked=asked).load()

    plain = market()
    sample = plain.fingerprint_of_rows(["size"])
    other = market(book_equity=1.0)
    assert other.fingerprint != plain.fingerprint
    assert other.fingerprint_of_rows(["size"]) == sample
    assert market(size=1.0).fingerprint_of_rows(["size"]) != sample  # which the target names
    assert market(size=1.0).fingerprint_of_rows([]) == plain.fingerprint_of_rows([])
    assert market(close=1.0).fingerprint_of_rows(["size"]) != sample
    declared = File(str(folder / "g.csv"), {}).load()
    assert market(close=1.0).asking_only(()).fingerprint == declared.fingerprint


# the rules of declared columns hold


def test_a_planted_column_that_looks_ahead_is_caught(folder: Path) -> None:
    (folder / "own.py").write_text(
        "def peek(market, *, column: str):\n    return market.get(column).shift(-1)\n"
    )
    node = "features.x={_target_: own.peek, column: size}"
    done = call_cli(folder, *SPEC, "allow=[own]", node)
    assert done.code == 2, done.out
    assert any("x" in line and "ahead" in line for line in done.errors), done.errors


def test_rules_and_suspicions_hold_for_named_columns(folder: Path) -> None:
    broken = table()
    broken.loc[broken.index % 10 == 0, "size"] = np.inf
    broken.to_csv(folder / "f.csv", index=False)
    line = refused("features.x=size")
    assert "size: 72 of its 720 values (10.0%) are infinite" in line
    rng = np.random.default_rng(1)
    per_cent = table(mkt=np.repeat(rng.normal(0.5, 5.0, T), N))
    per_cent.to_csv(folder / "f.csv", index=False)
    done = call_cli(folder, "check", *SPEC[:-1], "features.x=mkt")
    assert "The standard deviation of mkt is" in " ".join(done.out.split())


# what is not read, and what is refused


def test_a_name_within_code_of_ones_own_is_one_override_away(folder: Path) -> None:
    (folder / "own.py").write_text("def book(market):\n    return market.get('book_equity')\n")
    done = call_cli(folder, *SPEC, "allow=[own]", "features.x={_target_: own.book}")
    assert done.code == 2, done.out
    assert "data.columns.book_equity=book_equity reads it" in done.errors[0]


def test_text_of_ones_own_function_may_name_any_column(folder: Path) -> None:
    (folder / "own.py").write_text(
        "def pair(market, *, a: str, b: list[str] = ['size'], how='mean'):\n"
        "    return market.get(a) - market.get(b[0])\n"
    )
    done = call_cli(folder, *SPEC, "allow=[own]", "features.x={_target_: own.pair, a: book_equity}")
    assert done.code == 0, done.err
    assert SAID % "book_equity, size" in " ".join(done.out.split())
    both = metrics("features.x=book_equity - size")
    assert done.metrics["fit/r2"] == pytest.approx(both["fit/r2"], abs=ROUNDING)


def test_a_slip_is_said_with_the_nearest_column(folder: Path) -> None:
    line = refused("features.x=bok_equity")
    assert "did you mean 'book_equity'?" in line
    line = refused("features.x={_target_: runner.features.field, name: bok_equity}")
    assert "did you mean 'book_equity'?" in line
    line = refused("features.x={_target_: runner.features.shared, series: siz}")
    assert "did you mean 'size'?" in line
    line = refused("features.x=rank(size, sectr)")
    assert "did you mean 'sector'?" in line


def test_what_is_computed_and_a_column_of_that_name_is_refused(folder: Path) -> None:
    table(ret=0.01).to_csv(folder / "f.csv", index=False)
    columns = "data.columns={date: date, asset: asset, close: close}"
    line = refused("features.x=mean(ret, 3)", columns)
    assert "data.columns.ret=ret reads it, data.columns.ret=null takes what is computed" in line
    computed = metrics("features.x=mean(ret, 3)", "data.columns.ret=null")
    table().to_csv(folder / "f.csv", index=False)
    assert computed == metrics("features.x=mean(ret, 3)")


def test_prices_and_returns_are_read_only_where_the_spec_says_so(folder: Path) -> None:
    table(ret=0.01).to_csv(folder / "f.csv", index=False)
    columns = "data.columns={date: date, asset: asset, close: close}"
    line = refused(columns, "features.x={_target_: runner.features.field, name: ret}")
    assert "data.columns.ret=ret reads it" in line


def test_a_joined_name_that_is_a_column_too_is_refused(folder: Path) -> None:
    dates = pd.date_range("2010-01-31", periods=T, freq="ME")
    rates = np.linspace(0.001, 0.002, T)
    pd.DataFrame({"date": dates, "size": rates}).to_csv(folder / "s.csv", index=False)
    words = ["data.series.rates.path=s.csv", "features.x=book_equity * size"]
    line = refused(*words)
    assert "data.series.rates.columns.size: the table of assets has a column size too" in line
    assert "data.columns.size=null leaves that one out" in line
    joined = metrics(*words, "data.columns.size=null")
    assert joined["fit/n_obs"] == (T - 1) * N
    labels = table()[["asset", "sector"]].drop_duplicates("asset")
    labels.to_csv(folder / "l.csv", index=False)
    by_label = ["data.labels.l.path=l.csv", "features.x=rank(size, sector)"]
    line = refused(*by_label)
    assert "data.labels.l.columns.sector: the table of assets has a column sector too" in line
    assert metrics(*by_label, "data.columns.sector=null")


def test_an_exact_name_wins_over_what_its_signs_would_compute(folder: Path) -> None:
    rng = np.random.default_rng(3)
    ratio = rng.normal(size=T * N)
    table(**{"B/M": ratio}).to_csv(folder / "f.csv", index=False)
    exact = metrics("features.x=B/M")
    by_hand = metrics("features.x=bm", "data.columns.bm=B/M")
    assert exact["fit/r2"] == by_hand["fit/r2"]
    table(**{"B/M": ratio, "B": ratio, "M": 2.0}).to_csv(folder / "f.csv", index=False)
    line = refused("features.x=B/M")
    assert "'B/M' is a column of the data, and computed of others" in line
    assert metrics("features.x=B / M")


def test_a_column_named_as_a_number_and_as_a_label_is_refused(folder: Path) -> None:
    line = refused("features.x=log(sic)", "model.by=sic")
    assert "data.columns.sic: the spec names this column as a number and as a label" in line
    assert metrics("features.x=size", "features.y=rank(size*sic)", "data.groups.code=sic", "model.by=code")  # fmt: skip


def test_a_file_of_one_asset_gives_its_columns(folder: Path) -> None:
    one = table().query("asset == 'A00'").drop(columns="asset")
    one.to_csv(folder / "one.csv", index=False)
    words = ["data.path=one.csv", "model.by=asset", "features.x=book_equity"]
    assert said(*words)[1] == SAID % "book_equity"
    assert "did you mean 'size'?" in refused(*words[:2], "features.x=siz")


def test_a_column_counts_where_the_setting_of_an_example_does_not_fit() -> None:
    """The example takes vix from an asset; these data may have a column of that name instead."""
    node = {
        "_target_": "runner.data.File",
        "path": "f.csv",
        "columns": {"close": "close"},
        "macro": {"vix": "^VIX", "rf": "RF"},
        "borrowed": ["macro.vix"],
    }
    asked: Asked = {"number": ["vix", "rf", "close"]}
    assert asking(node, asked, ())["asked"] == {"number": ["vix"]}
    source = source_of(asking(node, asked, ()), ["macro.vix"], Builder((), []))
    assert source.whole.asked == {}
    assert source.alone.asked == {"number": ["vix"]}
    assert "asked" not in asking({**node, "borrowed": []}, asked, ())


@pytest.mark.parametrize("setting", ["columns", "groups", "macro", "asked", "borrowed"])
def test_a_setting_of_the_wrong_type_is_one_line(folder: Path, setting: str) -> None:
    line = refused("features.x=book_equity", f"++data.{setting}=5")
    assert line.startswith(f"data.{setting}: given 5; allowed: ")


def test_sources_without_a_table_are_not_asked() -> None:
    spec = {
        "data": {"_target_": "runner.data.French"},
        "features": {"x": "rank(size)"},
        "target": {"_target_": "runner.targets.forward_return", "horizon": 1},
        "model": {"_target_": "runner.models.Regression"},
        "validation": {"_target_": "runner.validation.NoValidation"},
    }
    assert "asked" not in build(spec).spec["data"]


def test_names_of_an_expression() -> None:
    text = "rank(log(book), sector) - mean(ret, 3) * rows_per_year"
    assert set(by_text(text)) == {Named("book", "number"), Named("sector", "label")}
    assert Named("B/M", "number") in set(by_text("B/M"))
    assert list(by_text("no expression")) == []
    asked = together({"number": ["b"]}, {"number": ["a", "b"], "label": []})
    assert asked == {"number": ["a", "b"]}


def test_names_in_settings_by_their_types() -> None:
    def own(market, *, one: str, several, by: dict[str, str], how: Literal["mean"], n: int = 3):
        raise NotImplementedError

    settings = {"one": "a", "several": ["b", "c"], "by": {"x": "d"}, "how": "mean", "n": 3}
    names = by_settings(settings, kinds_of(own), text_is_a_name=True)
    assert [named.name for named in names] == ["a", "b", "c", "d"]
    assert list(by_settings(settings, kinds_of(own), text_is_a_name=False)) == []
    model = {"by": "sector", "clusters": ["date", "industry"], "effects": ["asset", "code*date"]}
    weights = {"weights": "inverse_variance", "dummies": [], "regressors": ["x"]}
    kinds = kinds_of(Regression)
    named = list(by_settings({**model, **weights}, kinds, text_is_a_name=False))
    assert named == [Named(name, "label") for name in ("sector", "industry", "code")]
    cap = by_settings({"weights": "cap"}, kinds, text_is_a_name=False)
    assert list(cap) == [Named("cap", "number")]


def test_a_market_without_a_table_reads_as_before() -> None:
    dates = pd.bdate_range("2020-01-01", periods=4)
    frame = pd.DataFrame({"A": [1.0, 2.0, 3.0, 4.0]}, dates)
    market = Market("", {"close": frame}, pd.DataFrame(index=dates))
    assert market.asked == ()
    assert market.asking_only(()) is market
    with pytest.raises(DataError, match="'book' is unknown"):
        Expression("book")(market)
    assert not Reading("t", "c", "c", "field").asked
