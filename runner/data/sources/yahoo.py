"""Daily prices from Yahoo Finance, fetched once into a snapshot; runs read snapshots only."""

from __future__ import annotations

import re
import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runner.data.sources.file import File
from runner.data.sources.snapshot import (
    Partial,
    Snapshot,
    coverage,
    locked,
    manifest_of,
    read_manifest,
    too_few,
)
from runner.errors import DataError
from runner.schema.settings import Date, Positive, Rows, Share, Symbol, parse_date

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

    import pandas as pd

    from runner.data.market import Market

PRICES = ["Open", "High", "Low", "Close", "AdjClose", "Volume"]
COLUMNS: dict[str, str | None] = {
    "date": "Date",
    "asset": "Ticker",
    "close": "AdjClose",
    "volume": "Volume",
}
SYMBOL = re.compile(r"[A-Za-z0-9^][A-Za-z0-9.^=&_-]{0,31}")
CHART = "/v8/finance/chart/"
TOO_MANY = 429  # the status of too many requests
ANSWERED = (200, 400, 404, 422)  # statuses with which Yahoo says that there is no such data
CONNECT = 5.0  # seconds to wait for a connection
READ = 20.0  # seconds to wait for an answer
LONGEST = 300.0  # seconds, the longest pause
NETWORK_ATTEMPTS = 2  # no network is found out quickly

Kind = Literal["missing", "rate limit", "server", "network"]


@dataclass(frozen=True)
class Yahoo:
    """Prices, volumes and macro series by their Yahoo symbols.

    Fields are `close` (adjusted) and `volume`. The same request uses the same snapshot until
    `python -m runner snapshot data.refresh=true` fetches it again. Proxies and certificates are
    those of the environment (HTTPS_PROXY, REQUESTS_CA_BUNDLE).

    Attributes:
        assets: the modelled assets.
        market: the market asset; its dates are the calendar.
        macro: name here -> symbol, series shared by all assets (levels).
        start, end: first and last date, both included; end null takes all finished days when
            fetched.
        folder: where snapshots are kept; a relative path starts at the working directory.
        refresh: fetch again although there is a snapshot; for the verb, a run ignores it.
        attempts: how often to ask for a ticker before giving up.
        pause: seconds before the second attempt, doubled before each further one.
        rate_limit_pause: the same when Yahoo says that there were too many requests.
        coverage: smallest share of the calendar's rows between its own first and last row that a
            ticker has.
    """

    assets: list[Symbol]
    market: Symbol | None = None
    macro: dict[str, Symbol] = field(default_factory=dict)
    start: Date = "2017-01-01"
    end: Date | None = None
    folder: str = "outputs/snapshots"
    refresh: bool = False
    attempts: Rows = 5
    pause: Positive = 2.0
    rate_limit_pause: Positive = 20.0
    coverage: Share = 0.95

    def load(self) -> Market:
        """The market (T, N) of the snapshot, which is fetched if there is none.

        Raises:
            DataError: as `fetch`, or a date range without rows.
        """
        path = replace(self, refresh=False).fetch()
        gaps = self._gaps(read_manifest(manifest_of(path)))
        _refuse(gaps.values())
        file = File(
            path=str(path),
            columns=COLUMNS,
            market=self.market,
            macro=self.macro,
            groups={},
            assets=self.assets,
            start=self.start,
            end=self.end,
        )
        return file.load()

    def fetch(self) -> Path:
        """The parquet file of the snapshot, its manifest beside it (`manifest_of`).

        Raises:
            DataError: symbols that Yahoo does not know, one line each; no network, rate limit or
                server error after all attempts; too many missing rows; a damaged snapshot.
        """
        self._check()
        snapshot = Snapshot(Path(self.folder), self._request())
        path = self._kept(snapshot)
        if path is not None:
            return path
        with locked(snapshot.folder):
            # another process may have been faster
            path = self._kept(snapshot)
            return path or self._write(snapshot)

    def _kept(self, snapshot: Snapshot) -> Path | None:
        """The file of an earlier fetch; None where there is none or it is to be fetched again."""
        if self.refresh:
            return None
        return snapshot.current()

    def _request(self) -> dict[str, Any]:
        """What identifies the snapshot."""
        start = str(_day(self.start))
        end = None if self.end is None else str(_day(self.end))
        return {"source": "yahoo", "tickers": sorted(self._roles()), "start": start, "end": end}

    def _roles(self) -> dict[str, str]:
        """Ticker -> the setting that names it."""
        roles = {}
        for name, ticker in self.macro.items():
            roles[ticker] = f"data.macro.{name}"
        if self.market is not None:
            roles[self.market] = "data.market"
        return roles | dict.fromkeys(self.assets, "data.assets")

    def _check(self) -> None:
        """Whether tickers and dates can be asked for.

        Tickers become part of a URL: only characters that symbols are made of are allowed.

        Raises:
            DataError: one line for each mistake.
        """
        mistakes = []
        for ticker, role in self._roles().items():
            if not SYMBOL.fullmatch(str(ticker)) or ".." in ticker:
                allowed = "up to 32 of A-Z 0-9 . ^ = & _ -"
                mistakes.append(f"{role}: {ticker!r} is not a Yahoo symbol; allowed: {allowed}")
        if not self.assets:
            mistakes.append("data.assets: empty; allowed: one Yahoo symbol or more")
        start = _day(self.start)
        last = self._last_day()
        if start > last:
            mistakes.append(
                f"data.start: {start} is after the last day {last} (data.end, at most yesterday)"
            )
        _refuse(mistakes)

    def _last_day(self) -> date:
        """The end, at most yesterday (UTC): today's row is not finished."""
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        if self.end is None:
            return yesterday
        return min(_day(self.end), yesterday)

    def _write(self, snapshot: Snapshot) -> Path:
        """Ask Yahoo for every ticker and keep the answers as a snapshot."""
        import pandas as pd

        start = _day(self.start)
        client = Client(Path(self.folder), start, self._last_day())
        answers = self._ask_all(client)
        facts = {
            "resolved": {"start": str(client.start), "end": str(client.end)},
            "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "yfinance": client.version,
        }
        facts |= coverage(answers, self.assets, self.market)
        gaps = self._gaps(facts)
        # asked for again next time
        client.partial.clear(gaps)
        _refuse(gaps.values())
        table = pd.concat(answers.values()).sort_values(["Date", "Ticker"], ignore_index=True)
        path = snapshot.write(table, facts)
        client.partial.clear(answers)
        return path

    def _ask_all(self, client: Client) -> dict[str, pd.DataFrame]:
        """Ticker -> its rows.

        Unknown tickers are collected; any other failure stops, and the answers so far are kept.
        """
        answers = {}
        mistakes = []
        for ticker, role in _watched(self._roles().items()):
            try:
                answers[ticker] = self._patiently(client, ticker)
            except Failure as failure:
                mistakes.append(failure.line(ticker, role, client))
                if failure.kind != "missing":
                    break
        _refuse(mistakes)
        return answers

    def _patiently(self, client: Client, ticker: str) -> pd.DataFrame:
        """The rows of a ticker, asked for again after longer and longer pauses."""
        attempt = 1
        while True:
            try:
                return client.ask(ticker)
            except Failure as failure:
                if attempt >= self._attempts(failure.kind):
                    failure.attempts = attempt
                    raise
                wait = self._wait(failure, attempt)
                again = f"attempt {attempt + 1} in {wait:g} s"
                _say(f"data=yahoo: {ticker}: {failure.reason}; {again}")
                time.sleep(wait)
                attempt += 1

    def _attempts(self, kind: Kind) -> int:
        """How often to ask, given why there was no answer."""
        if kind == "missing":
            return 1
        if kind == "network":
            return min(NETWORK_ATTEMPTS, self.attempts)
        return self.attempts

    def _wait(self, failure: Failure, attempt: int) -> float:
        """Seconds to wait after the attempt: doubled each time, or longer if the server says so."""
        first = self.pause
        if failure.kind == "rate limit":
            first = self.rate_limit_pause
        doubled = first * 2.0 ** (attempt - 1)
        return min(max(doubled, failure.retry_after), LONGEST)

    def _gaps(self, facts: Mapping[str, Any]) -> dict[str, str]:
        """Ticker -> why it is refused, for the tickers with too many missing rows."""
        roles = self._roles()
        gaps = {}
        for ticker, reason in too_few(facts, self.coverage).items():
            gaps[ticker] = f"{roles[ticker]}: {ticker!r} {reason} (data.coverage)"
        return gaps


class Failure(Exception):
    """Yahoo did not answer with rows."""

    def __init__(self, kind: Kind, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.retry_after = retry_after
        self.attempts = 1

    def line(self, ticker: str, role: str, client: Client) -> str:
        """The one line that a person reads."""
        kept = "the tickers fetched so far are kept"
        if self.kind == "missing":
            dates = f"between {client.start} and {client.end}"
            return f"{role}: {ticker!r} has no data at Yahoo {dates} (delisted or misspelt)"
        if self.kind == "network":
            offline = "with a snapshot the run works offline; or use data=file"
            return f"data=yahoo: no network ({self.reason}); {offline}"
        if self.kind == "rate limit":
            again = f"wait some minutes and start again: {kept}"
            return f"data=yahoo: rate limited after {self.attempts} attempts; {again}"
        tried = f"{ticker!r} after {self.attempts} attempts"
        return f"data=yahoo: {self.reason} for {tried}; start again later: {kept}"


class Client:
    """yfinance, asked for one ticker at a time; answers are kept until the snapshot is whole."""

    def __init__(self, folder: Path, start: date, end: date) -> None:
        import logging

        import yfinance as yf

        self.start = start
        self.end = end
        self.version = yf.__version__
        self.partial = Partial(folder, start, end)
        self.session: Any = _session()
        yf.config.debug.hide_exceptions = False
        # only our lines are shown
        logging.getLogger("yfinance").setLevel(logging.CRITICAL + 1)
        yf.set_tz_cache_location(_scratch().name)

    def ask(self, ticker: str) -> pd.DataFrame:
        """Long rows of one ticker: Date, Ticker and prices, unadjusted but for AdjClose.

        Raises:
            Failure: no rows, and why.
        """
        rows = self.partial.get(ticker)
        if rows is None:
            rows = self._tidy(self._history(ticker), ticker)
            self.partial.keep(ticker, rows)
        return rows

    def _history(self, ticker: str) -> pd.DataFrame:
        """The answer of yfinance as it is."""
        import yfinance as yf
        from yfinance.data import YfData

        # it remembers answers, failed ones as well
        YfData.cache_get.cache_clear()
        self.session.forget()
        # yfinance excludes the end
        past_end = self.end + timedelta(days=1)
        try:
            with warnings.catch_warnings(action="ignore"):
                asset = yf.Ticker(ticker, session=self.session)
                return asset.history(
                    start=str(self.start), end=str(past_end), auto_adjust=False, actions=False
                )
        # whatever it raises, a person gets one line
        except Exception as error:
            raise _failure(error, self.session.status, self.session.retry_after) from error

    def _tidy(self, rows: pd.DataFrame, ticker: str) -> pd.DataFrame:
        """Rows by naive dates of the exchange.

        Rows without a price or outside the dates asked for are left out.
        """
        rows = rows.rename(columns={"Adj Close": "AdjClose"})
        rows = rows.reindex(columns=PRICES).astype(float)
        rows = rows[rows["AdjClose"].notna()]
        if len(rows):
            dates = rows.index.tz_localize(None).astype("datetime64[us]")
            rows.index = dates.rename("Date")
            rows = rows.loc[str(self.start) : str(self.end)]
        if rows.empty:
            raise Failure("missing", "no rows with a price")
        rows.insert(0, "Ticker", ticker)
        return rows.reset_index()


def _session() -> Any:
    """yfinance's own kind of session, which remembers how the last request for prices ended."""
    from curl_cffi import requests

    class Session(requests.Session):
        status: int | None = None
        retry_after = 0.0

        def forget(self) -> None:
            self.status = None
            self.retry_after = 0.0

        def request(self, *given: Any, **settings: Any) -> Any:
            settings["timeout"] = (CONNECT, READ)
            if CHART not in settings["url"]:
                return super().request(*given, **settings)
            self.forget()
            response = super().request(*given, **settings)
            self.status = response.status_code
            seconds = response.headers.get("Retry-After") or ""
            self.retry_after = float(seconds) if seconds.isdecimal() else 0.0
            return response

    return Session(impersonate="chrome")


def _failure(error: Exception, status: int | None, retry_after: float) -> Failure:
    """The failure that an exception of yfinance means.

    Args:
        status: of the last answer; None where there was none.
    """
    from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

    lines = str(error).splitlines() or [type(error).__name__]
    reason = re.sub(r"^Failed to perform, curl: \(\d+\) |\.? See https://curl.*$", "", lines[0])
    if isinstance(error, YFRateLimitError) or status == TOO_MANY:
        return Failure("rate limit", "too many requests", retry_after)
    if status is None and isinstance(error, OSError):
        return Failure("network", reason)
    if status in ANSWERED and isinstance(error, (YFTickerMissingError, OSError)):
        return Failure("missing", reason)
    if status in (None, 200):
        return Failure("server", f"an answer of no use ({reason})", retry_after)
    return Failure("server", f"Yahoo answered HTTP {status}", retry_after)


@cache
def _scratch() -> TemporaryDirectory[str]:
    """Where yfinance caches in this process.

    It pickles cookies: not in a folder that people share.
    """
    from tempfile import TemporaryDirectory

    return TemporaryDirectory(prefix="yfinance-")


def _refuse(mistakes: Iterable[str]) -> None:
    """Raise DataError with these lines, if there are any."""
    lines = list(mistakes)
    if lines:
        raise DataError(lines)


def _day(value: str | date) -> date:
    return parse_date(str(value)).date()


def _watched(items: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """The items, with a progress bar if a person looks at the terminal."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(list(items), "Yahoo", console=Console(stderr=True), transient=True)


def _say(line: str) -> None:
    """A note for a person who waits; nothing where nobody looks."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr)
