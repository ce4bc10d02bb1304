"""The source data=yahoo: the real yfinance client against a stub of Yahoo on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import run_cli
from starting import run
from yahoo_stub import YahooStub

from runner.data.sources import yahoo
from runner.data.sources.file import File
from runner.data.sources.snapshot import describe, manifest_of, read_manifest
from runner.data.sources.yahoo import COLUMNS, Failure, Yahoo
from runner.errors import DataError

START, END = "2024-01-01", "2024-03-29"
WEEKDAYS = 65  # from START to END
UNIVERSE = (
    "AMZN",
    "GOOGL",
    "META",
    "NFLX",
    "QQQ",
    "IWM",
    "TLT",
    "DX-Y.NYB",
)  # of the experiments, beside the stub's


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[YahooStub]:
    with YahooStub(tmp_path) as one:
        for name in ("https_proxy", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in one.environment.items():
            monkeypatch.setenv(name, value)
        yield one


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for, none of which is waited for."""
    asked: list[float] = []
    monkeypatch.setattr(yahoo.time, "sleep", asked.append)
    return asked


@pytest.fixture
def source(tmp_path: Path, stub: YahooStub, pauses: list[float]) -> Any:
    def make(*assets: str, **settings: Any) -> Yahoo:
        given: dict[str, Any] = {"start": START, "end": END, "folder": str(tmp_path / "kept")}
        return Yahoo(list(assets) or ["AAPL"], **(given | settings))

    return make


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nobody answers: the proxy is a port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")


def refusal(one: Yahoo) -> tuple[str, ...]:
    with pytest.raises(DataError) as caught:
        one.fetch()
    assert all("\n" not in line for line in caught.value.mistakes)
    return caught.value.mistakes


def test_good_answer_becomes_a_market(source: Any) -> None:
    market = source("MSFT", "AAPL", market="SPY", macro={"vix": "^VIX"}).load()
    assert market.assets == ["MSFT", "AAPL"]
    assert list(market.fields) == ["close", "volume"]
    assert len(market.dates) == WEEKDAYS
    assert str(market.dates[0])[:10] == START and str(market.dates[-1])[:10] == END
    assert market.series.columns.tolist() == ["vix"]
    assert not market.fields["close"].isna().any(axis=None)


def test_snapshot_is_a_long_file_as_ours_are(source: Any) -> None:
    path = source("MSFT", "AAPL").fetch()
    table = pd.read_parquet(path)
    assert list(table) == ["Date", "Ticker", "Open", "High", "Low", "Close", "AdjClose", "Volume"]
    assert table["Date"].dtype == "datetime64[us]"
    assert table.equals(table.sort_values(["Date", "Ticker"], ignore_index=True))
    assert (table["AdjClose"] / table["Close"]).round(6).eq(0.9).all()
    assert File(str(path), dict(COLUMNS)).load().assets == ["AAPL", "MSFT"]


def test_manifest_says_what_was_fetched(source: Any) -> None:
    manifest = read_manifest(manifest_of(source("MSFT", "AAPL").fetch()))
    assert manifest["request"] == {
        "source": "yahoo",
        "tickers": ["AAPL", "MSFT"],
        "start": START,
        "end": END,
    }
    assert manifest["rows"] == 2 * WEEKDAYS
    facts = {"rows": WEEKDAYS, "first": START, "last": END, "expected": WEEKDAYS, "missing": 0}
    assert manifest["tickers"] == {"AAPL": facts, "MSFT": facts}
    assert datetime.fromisoformat(manifest["fetched_at"]).tzinfo == UTC
    assert len(describe(manifest)) == 1


def test_open_end_is_resolved_to_the_last_finished_day(source: Any) -> None:
    path = source(end=None, start="2026-01-01").fetch()
    manifest = read_manifest(manifest_of(path))
    assert manifest["request"]["end"] is None
    assert manifest["resolved"]["end"] < f"{datetime.now(UTC):%Y-%m-%d}"
    assert source(end=None, start="2026-01-01").fetch() == path


def test_existing_snapshot_needs_no_network(
    source: Any, stub: YahooStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = source().load()
    no_network(monkeypatch)
    hits = stub.hits
    assert source(refresh=True).load().fingerprint == first.fingerprint  # a run ignores refresh
    assert stub.hits == hits


def test_no_network_is_said_after_two_attempts(
    source: Any, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_network(monkeypatch)
    (line,) = refusal(source("AAPL", "MSFT", "SPY"))
    assert line.startswith("data=yahoo: no network (Failed to connect to ")
    assert line.endswith("with a snapshot the run works offline; or use data=file")
    assert pauses == [2.0]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_failure_is_survived(
    source: Any, stub: YahooStub, pauses: list[float], status: int
) -> None:
    stub.failing["AAPL"] = [status, 4]
    assert len(source().load().dates) == WEEKDAYS
    assert pauses == ([20.0, 40.0] if status == 429 else [2.0, 4.0])  # the client itself asks twice


def test_rate_limit_keeps_what_came(source: Any, stub: YahooStub, pauses: list[float]) -> None:
    stub.failing["SPY"] = [429, 1000]
    (line,) = refusal(source("AAPL", "SPY", "MSFT"))
    assert line == (
        "data=yahoo: rate limited after 5 attempts; wait some minutes and start again: "
        "the tickers fetched so far are kept"
    )
    assert pauses == [20.0, 40.0, 80.0, 160.0]
    assert stub.history["MSFT"] == 0
    stub.failing.clear()
    assert source("AAPL", "SPY", "MSFT").load().assets == ["AAPL", "SPY", "MSFT"]
    assert stub.history["AAPL"] == 1


def test_server_says_how_long_to_wait(source: Any, stub: YahooStub, pauses: list[float]) -> None:
    stub.failing["AAPL"], stub.retry_after = [429, 2], 77
    source().fetch()
    assert pauses == [77.0]


def test_longest_pause_is_five_minutes(source: Any) -> None:
    assert source()._wait(Failure("rate limit", "", retry_after=1e6), 1) == 300.0
    assert source()._wait(Failure("server", ""), 30) == 300.0


def test_server_error_is_one_line(source: Any, stub: YahooStub, pauses: list[float]) -> None:
    stub.failing["AAPL"] = [503, 1000]
    (line,) = refusal(source(attempts=3))
    assert line == (
        "data=yahoo: Yahoo answered HTTP 503 for 'AAPL' after 3 attempts; start again later: "
        "the tickers fetched so far are kept"
    )
    assert len(pauses) == 2


def test_blocked_client_is_not_a_delisted_ticker(source: Any, stub: YahooStub) -> None:
    stub.failing["AAPL"] = [403, 1000]
    (line,) = refusal(source(attempts=2))
    assert "HTTP 403" in line and "delisted" not in line


def test_every_ticker_without_data_is_named(
    source: Any, stub: YahooStub, pauses: list[float]
) -> None:
    stub.known |= {"NULLS": stub.known["AAPL"], "LATER": ("2024-06-03", "2100-01-01")}
    stub.empty.add("NULLS")
    lines = refusal(source("XYZQ", "AAPL", "NULLS", market="LATER", macro={"vix": "^VIXX"}))
    says = f"has no data at Yahoo between {START} and {END} (delisted or misspelt)"
    assert sorted(lines) == [
        f"data.assets: 'NULLS' {says}",
        f"data.assets: 'XYZQ' {says}",
        f"data.macro.vix: '^VIXX' {says}",
        f"data.market: 'LATER' {says}",
    ]
    assert pauses == []


def test_partial_history_is_accepted_and_said(source: Any, stub: YahooStub) -> None:
    stub.known["NEW"] = ("2024-03-01", "2100-01-01")
    one = source("AAPL", "NEW", market="SPY")
    manifest = read_manifest(manifest_of(one.fetch()))
    assert manifest["tickers"]["NEW"]["first"] == "2024-03-01"
    assert manifest["tickers"]["NEW"]["missing"] == 0
    assert describe(manifest)[1:] == ["NEW: starts 2024-03-01"]
    assert one.load().fields["close"]["NEW"].isna().sum() == WEEKDAYS - 21


def test_gaps_are_refused_with_figures(source: Any, stub: YahooStub) -> None:
    stub.closed["AAPL"] = {f"2024-02-{day:02}" for day in range(5, 10)}
    (line,) = refusal(source("AAPL", "MSFT", market="SPY"))
    assert line == (
        "data.assets: 'AAPL' lacks 5 of 65 rows between 2024-01-01 and 2024-03-29 (calendar of SPY): "
        "coverage 92.3%, allowed: from 95.0% (data.coverage)"
    )
    manifest = read_manifest(
        manifest_of(source("AAPL", "MSFT", market="SPY", coverage=0.9).fetch())
    )
    assert "AAPL: lacks 5 of 65 rows" in describe(manifest)[1]
    assert stub.history == {"AAPL": 2, "MSFT": 1, "SPY": 1}  # the refused one is asked for again
    with pytest.raises(DataError, match=r"coverage 92\.3%"):
        source("AAPL", "MSFT", market="SPY").load()  # the snapshot exists, the setting still holds


def test_refresh_keeps_the_old_snapshot(source: Any) -> None:
    old = source().fetch()
    content = old.read_bytes()
    new = source(refresh=True).fetch()
    assert new != old and old.read_bytes() == content and manifest_of(old).is_file()
    assert source().fetch() == new


def test_failed_refresh_leaves_the_snapshot_in_use(
    source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = source().fetch()
    no_network(monkeypatch)
    refusal(source(refresh=True))
    assert source().fetch() == old


def test_changed_snapshot_is_refused(source: Any) -> None:
    path = source().fetch()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (line,) = refusal(source())
    assert "was changed after it was fetched" in line and "data.refresh=true" in line
    assert source(refresh=True).fetch().is_file()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"fingerprint": "../../x"}', '{"fingerprint": 7}']
)
def test_damaged_manifest_is_refused(source: Any, text: str) -> None:
    path = source().fetch()
    (path.parent / "manifest.json").write_text(text)
    assert "is not a whole manifest" in refusal(source())[0]


def test_lost_snapshot_is_refused(source: Any) -> None:
    source().fetch().unlink()
    assert "is gone" in refusal(source())[0]


def test_old_partial_answers_are_asked_for_again(
    source: Any, stub: YahooStub, tmp_path: Path
) -> None:
    refusal(source("AAPL", "XYZQ"))
    yesterday = time.time() - 25 * 3600
    for path in (tmp_path / "kept" / "partial").iterdir():
        os.utime(path, (yesterday, yesterday))
    source("AAPL").fetch()
    assert stub.history["AAPL"] == 2
    assert list((tmp_path / "kept" / "partial").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../../etc", "A/B", "A?b=c", "A#b", "A%2fb", "", "A B", "A\n", "Ä", "A" * 33, ".A"]
)
def test_bad_names_never_leave(source: Any, stub: YahooStub, tmp_path: Path, name: str) -> None:
    lines = refusal(source("AAPL", name, macro={"vix": name + "/"}))
    assert len(lines) == 2 and all("is not a Yahoo symbol" in line for line in lines)
    assert stub.hits == 0 and not (tmp_path / "kept").exists()


def test_dates_that_hold_no_day_are_refused(source: Any) -> None:
    assert refusal(source(start="2024-05-01"))[0].startswith(
        "data.start: 2024-05-01 is after the last day"
    )


def test_folder_that_cannot_be_written(source: Any, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    assert refusal(source(folder=str(tmp_path / "taken")))[0].startswith("data.folder: ")


def test_four_processes_fetch_once(source: Any, stub: YahooStub, tmp_path: Path) -> None:
    settings = {
        "assets": ["AAPL", "MSFT"],
        "start": START,
        "end": END,
        "folder": str(tmp_path / "kept"),
    }
    code = f"from runner.data.sources.yahoo import Yahoo; print(Yahoo(**{settings!r}).load().fingerprint)"
    command = [sys.executable, "-c", code]
    started = [subprocess.Popen(command, stdout=-1, stderr=-1, text=True) for _ in range(4)]
    finished = [(*process.communicate(), process.returncode) for process in started]
    assert {code for _, _, code in finished} == {0}, finished
    assert {noise for _, noise, _ in finished} == {""}
    assert len({fingerprint for fingerprint, _, _ in finished}) == 1
    assert stub.history == {"AAPL": 1, "MSFT": 1}
    assert not list((tmp_path / "kept").rglob(".*"))


def test_importing_the_source_is_light() -> None:
    code = "import sys, json, runner.data.sources.yahoo; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert not {"pandas", "numpy", "pyarrow", "yfinance", "curl_cffi", "rich"} & set(loaded)


@pytest.mark.parametrize(
    "experiment",
    [
        pytest.param("capm", marks=pytest.mark.slow),
        pytest.param("alpha_signals", marks=pytest.mark.slow),
        "weekly_premia",
    ],
)
def test_the_live_line_fetches_once_and_then_runs_offline(
    experiment: str, tmp_path: Path, stub: YahooStub
) -> None:
    stub.known |= dict.fromkeys(UNIVERSE, ("2000-01-01", "2100-01-01"))
    words = [
        f"experiment={experiment}",
        "data=yahoo",
        "data.start=2019-06-03",
        "data.end=2023-12-29",
    ]
    first = run(tmp_path, *words)
    assert first.code == 0, first.err
    assert stub.history["SPY"] == 1
    offline = run(tmp_path, *words, HTTPS_PROXY="http://127.0.0.1:9")
    assert offline.code == 0, offline.err
    assert offline.table("coefficients").equals(first.table("coefficients"))
    assert offline.directory != first.directory


def test_the_verb_snapshot_fetches_without_running(tmp_path: Path, stub: YahooStub) -> None:
    stub.known |= dict.fromkeys(UNIVERSE, ("2000-01-01", "2100-01-01"))
    done = run(
        tmp_path, "snapshot", "experiment=capm", "data.start=2023-01-02", "data.end=2023-12-29"
    )
    assert done.code == 0, done.err
    assert Path(tmp_path, done.out.strip()).is_file()
    assert done.directory is None
    refused = run(tmp_path, "snapshot", "data=french")
    assert (refused.code, len(refused.errors)) == (2, 1)
    assert "data=yahoo" in refused.errors[0]


def test_the_live_line_without_network_is_one_line(tmp_path: Path) -> None:
    done = run_cli(tmp_path, "experiment=capm", "data.pause=0.01", HTTPS_PROXY="http://127.0.0.1:9")
    assert (done.code, len(done.errors)) == (2, 1), done.err
    assert "no network" in done.errors[0]


GOOD = {
    "fingerprint": "0" * 64,
    "resolved": {"start": "2020-01-01", "end": "2020-12-31"},
    "rows": 1,
    "fetched_at": "now",
    "calendar": "the assets",
    "tickers": {
        "\x1b[31mX": {"first": "2020-06-01", "last": "2020-12-31", "rows": 1, "missing": 0}
    },
}


@pytest.mark.parametrize(
    "altered",
    [{"resolved": 1}, {"tickers": [1]}, {"tickers": {"X": {}}}, {"resolved": {"start": "x"}}],
)
def test_a_manifest_that_others_changed_is_one_line(altered: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="manifest of the snapshot is not whole; fetch again"):
        describe({**GOOD, **altered})


def test_a_manifest_moves_no_cursor() -> None:
    lines = describe(GOOD)
    assert any("\\x1b[31mX" in line for line in lines)
    assert all(line.isprintable() for line in lines)
