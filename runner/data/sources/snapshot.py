"""Snapshots: what a live source answered, kept whole, fingerprinted and used again.

FOLDER/
├── lock                              one fetch at a time below a folder
├── partial/                          answers for single tickers, until their snapshot is whole
└── yahoo-12-tickers-...-1f0c.../     one directory a request
    ├── manifest.json                 the snapshot in use; written last
    ├── 9b1c....parquet               its rows, named by their fingerprint
    └── 9b1c....json                  its manifest again; those of refreshed snapshots stay
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import DataError
from runner.text import shown

if TYPE_CHECKING:
    import pandas as pd

SHORT = 16  # characters of a fingerprint in a file name
PARTIAL_AGE = 24 * 3600.0  # seconds after which an answer of an unfinished fetch is asked for again
AGAIN = "fetch again: python -m runner snapshot data.refresh=true"
HOLIDAYS = 10  # days without rows at the start or end of the dates that need no note


@dataclass(frozen=True)
class Snapshot:
    """The place of one request; `request` is all that identifies it.

    Attributes:
        folder: where all snapshots are.
        request: source, tickers (sorted), start and end as given (None: open).
    """

    folder: Path
    request: Mapping[str, Any]

    @property
    def home(self) -> Path:
        """The directory of this request; no ticker is part of its name."""
        text = json.dumps(self.request, sort_keys=True)
        digest = blake2b(text.encode(), digest_size=6).hexdigest()
        source = self.request["source"]
        count = len(self.request["tickers"])
        start = self.request["start"]
        end = self.request["end"] or "open"
        return self.folder / f"{source}-{count}-tickers-{start}-{end}-{digest}"

    def current(self) -> Path | None:
        """The parquet file in use, verified; None if this was never fetched.

        Raises:
            DataError: the manifest or the file is damaged or gone.
        """
        path = self.home / "manifest.json"
        if not path.is_file():
            return None
        fingerprint = read_manifest(path)["fingerprint"]
        name = f"{fingerprint[:SHORT]}.parquet"
        rows = self.home / name
        _verify(rows, fingerprint)
        return rows

    def write(self, table: pd.DataFrame, facts: Mapping[str, Any]) -> Path:
        """Keep the table and put it in use; an earlier one stays under its own fingerprint."""
        rows = to_parquet(table)
        fingerprint = _fingerprint(rows)
        manifest = {
            "request": dict(self.request),
            **facts,
            "rows": len(table),
            "fingerprint": fingerprint,
        }
        text = json.dumps(manifest, indent=2).encode() + b"\n"
        path = self.home / f"{fingerprint[:SHORT]}.parquet"
        self.home.mkdir(parents=True, exist_ok=True)
        write_whole(path, rows)
        write_whole(manifest_of(path), text)
        # last: it puts the snapshot in use
        write_whole(self.home / "manifest.json", text)
        return path


@dataclass(frozen=True)
class Partial:
    """Answers for single tickers over the same dates: a broken fetch goes on where it stopped."""

    folder: Path
    start: date
    end: date

    def path(self, ticker: str) -> Path:
        """Where the answer for the ticker is: a digest, for a ticker is not a safe file name."""
        key = repr((ticker, str(self.start), str(self.end)))
        digest = blake2b(key.encode(), digest_size=16).hexdigest()
        folder = self.folder / "partial"
        return folder / f"{digest}.parquet"

    def get(self, ticker: str) -> pd.DataFrame | None:
        """The answer kept, None where there is none from the last day."""
        import pandas as pd

        path = self.path(ticker)
        try:
            age = time.time() - path.stat().st_mtime
            if age > PARTIAL_AGE:
                return None
            return pd.read_parquet(path)
        except (OSError, ValueError):
            return None

    def keep(self, ticker: str, rows: pd.DataFrame) -> None:
        """Keep the answer for the ticker."""
        path = self.path(ticker)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, to_parquet(rows))

    def clear(self, tickers: Iterable[str]) -> None:
        """Forget the answers for these tickers."""
        for ticker in tickers:
            path = self.path(ticker)
            path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time below the folder; the others wait.

    Raises:
        DataError: the folder cannot be written.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / "lock"
        with lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise DataError(f"data.folder: {str(folder)!r} cannot be written: {error}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that others see whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def to_parquet(table: pd.DataFrame) -> bytes:
    """The table as parquet, without the index."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    buffer = BytesIO()
    pq.write_table(plain, buffer)
    return buffer.getvalue()


def manifest_of(rows: Path) -> Path:
    """The manifest beside a parquet file of a snapshot."""
    return rows.with_suffix(".json")


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest, with a fingerprint that is safe as a file name.

    Raises:
        DataError: not a whole manifest.
    """
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
        int(manifest["fingerprint"], 16)
        return manifest
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"data: {str(path)!r} is not a whole manifest; {AGAIN}") from error


def _verify(rows: Path, fingerprint: str) -> None:
    """Whether the file is there and has this fingerprint.

    Raises:
        DataError: it is gone or was changed.
    """
    if not rows.is_file():
        raise DataError(f"data: snapshot {str(rows)!r} is gone; {AGAIN}")
    present = _fingerprint(rows.read_bytes())
    if present != fingerprint:
        raise DataError(
            f"data: snapshot {str(rows)!r} was changed after it was fetched: its fingerprint is "
            f"{present[:SHORT]}, its manifest says {fingerprint[:SHORT]}; {AGAIN}"
        )


def _fingerprint(content: bytes) -> str:
    return blake2b(content, digest_size=32).hexdigest()


def coverage(
    answers: Mapping[str, pd.DataFrame], assets: Iterable[str], market: str | None
) -> dict[str, Any]:
    """Per ticker: rows, first and last date, and the rows of the calendar that it lacks.

    The calendar is that of the market asset, without one every date of the assets. It counts from
    the first to the last date of the ticker.
    """
    import pandas as pd

    owners = list(assets) if market is None else [market]
    dates = pd.concat([answers[name]["Date"] for name in owners])
    distinct = dates.unique()
    calendar = pd.DatetimeIndex(distinct)
    tickers = {name: _covered(answers[name]["Date"], calendar) for name in sorted(answers)}
    return {"calendar": market or "the assets", "tickers": tickers}


def _covered(dates: pd.Series, calendar: pd.DatetimeIndex) -> dict[str, Any]:
    """Rows, first and last date of a ticker, and the rows of the calendar that it lacks."""
    first = dates.min()
    last = dates.max()
    expected = calendar[(calendar >= first) & (calendar <= last)]
    is_missing = ~expected.isin(dates)
    number_missing = is_missing.sum()
    missing = int(number_missing)
    return {
        "rows": len(dates),
        "first": f"{first:%Y-%m-%d}",
        "last": f"{last:%Y-%m-%d}",
        "expected": len(expected),
        "missing": missing,
    }


def too_few(facts: Mapping[str, Any], allowed: float) -> dict[str, str]:
    """Ticker -> why it is refused, for those with too small a share of the calendar's rows."""
    gaps = {}
    for ticker, covered in facts["tickers"].items():
        share = 1.0 - covered["missing"] / max(covered["expected"], 1)
        if share < allowed:
            lacks = _lacks(covered, facts["calendar"])
            gaps[ticker] = f"{lacks}: coverage {share:.1%}, allowed: from {allowed:.1%}"
    return gaps


def _lacks(covered: Mapping[str, Any], calendar: str) -> str:
    span = f"between {covered['first']} and {covered['last']}"
    rows = f"{covered['missing']} of {covered['expected']} rows"
    return f"lacks {rows} {span} (calendar of {calendar})"


def describe(manifest: Mapping[str, Any]) -> list[str]:
    """Lines for people: one for the snapshot, one for each ticker with less than all rows.

    Raises:
        DataError: others wrote it, or changed it.
    """
    try:
        return list(map(shown, _described(manifest)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"data: the manifest of the snapshot is not whole; {AGAIN}") from error


def _described(manifest: Mapping[str, Any]) -> list[str]:
    """The same lines, names as they are."""
    start = manifest["resolved"]["start"]
    end = manifest["resolved"]["end"]
    size = f"{len(manifest['tickers'])} tickers, {manifest['rows']} rows, {start} to {end}"
    fingerprint = manifest["fingerprint"][:SHORT]
    lines = [f"{size}, fetched {manifest['fetched_at']}, fingerprint {fingerprint}"]
    first = date.fromisoformat(start)
    last = date.fromisoformat(end)
    for ticker, covered in manifest["tickers"].items():
        notes = _notes(covered, first, last, manifest["calendar"])
        if notes:
            notes_text = ", ".join(notes)
            lines.append(f"{ticker}: {notes_text}")
    return lines


def _notes(covered: Mapping[str, Any], start: date, end: date, calendar: str) -> list[str]:
    """Where a ticker starts late, ends early or lacks rows."""
    first = date.fromisoformat(covered["first"])
    last = date.fromisoformat(covered["last"])
    notes = []
    days_late = (first - start).days
    if days_late > HOLIDAYS:
        notes.append(f"starts {first}")
    days_early = (end - last).days
    if days_early > HOLIDAYS:
        notes.append(f"ends {last}")
    if covered["missing"]:
        lack = _lacks(covered, calendar)
        notes.append(lack)
    return notes
