"""Files made wrong by mutation of good ones in every format: each is read, or refused in one line.

A file that is not read costs one line and little time: no traceback, no warning, no process that
dies. A failing file shrinks to its mutations. With --slow forty times as many are drawn.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sqlite3
import time
import warnings
import zipfile
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from runner.data import File
from runner.errors import RunnerError

SEED = 20261128
EXAMPLES = 150  # some 4 s of CPU
MORE = 40  # times as many with --slow
AT_ONCE = 10.0  # seconds of CPU that a file may take
LONGEST = 4000  # characters of a line
ROWS = 30
COLUMNS = {"date": "date", "asset": "asset", "close": "close"}
ASKED = {"number": ["signal"]}
# what stands in files where a number or a date was meant
ODD = [
    *[
        b"",
        b" ",
        b"nan",
        b"inf",
        b"-1e999",
        b"1e-999",
        b"1.234,5",
        b"1 000",
        b"12%",
        b"(3)",
        b"#N/A",
    ],
    *[b'"', b"'", b'"a\nb"', b";", b",,", b"\t", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf"],
    *[
        b"0000-00-00",
        b"2021-02-30",
        b"20210101",
        b"1/2/2021",
        b"9999-12-31",
        b"99999999999999999999",
    ],
    *["\u202e".encode(), "é".encode("cp1252"), b"date", b"asset", b"=1+1", b"x" * 5000],
]


def table() -> pd.DataFrame:
    """Prices of two assets and a signal with missing cells, long."""
    draw = np.random.default_rng(11)
    dates = pd.bdate_range("2021-01-01", periods=ROWS).astype(str)
    frames = []
    for asset in ("A", "B"):
        close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, ROWS)))
        signal = np.where(draw.random(ROWS) < 0.2, np.nan, draw.normal(size=ROWS))
        columns = {"date": dates, "asset": asset, "close": close, "signal": signal}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _text() -> bytes:
    return table().to_csv(index=False).encode()


def _german() -> bytes:
    return table().to_csv(index=False, sep=";", decimal=",").encode("cp1252")


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("prices.csv", _text())
    return buffer.getvalue()


def _parquet() -> bytes:
    buffer = io.BytesIO()
    table().to_parquet(buffer, index=False)
    return buffer.getvalue()


def _excel() -> bytes:
    buffer = io.BytesIO()
    table().to_excel(buffer, index=False)
    return buffer.getvalue()


def _arrow() -> bytes:
    buffer = io.BytesIO()
    table().to_feather(buffer)
    return buffer.getvalue()


def _stata() -> bytes:
    buffer = io.BytesIO()
    table().to_stata(buffer, write_index=False)
    return buffer.getvalue()


def _sqlite() -> bytes:
    with closing(sqlite3.connect(":memory:")) as database:
        table().to_sql("prices", database, index=False)
        return database.serialize()


FORMATS: dict[str, Callable[[], bytes]] = {
    "csv": _text,
    "german.csv": _german,
    "csv.gz": lambda: gzip.compress(_text(), mtime=0),
    "csv.bz2": lambda: bz2.compress(_text()),
    "csv.xz": lambda: lzma.compress(_text()),
    "zip": _zip,
    "parquet": _parquet,
    "feather": _arrow,
    "xlsx": _excel,
    "dta": _stata,
    "sqlite": _sqlite,
}


@cache
def good(kind: str) -> bytes:
    return FORMATS[kind]()


class Mutation(NamedTuple):
    """One change of a file: at a share of its length, over so many bytes."""

    kind: str
    at: float
    length: int
    content: bytes

    def of(self, data: bytes) -> bytes:
        start = int(self.at * len(data))
        stop = min(start + self.length, len(data))
        middle = data[start:stop]
        made = {
            "cut": b"",
            "delete": data[:start] + data[stop:],
            "repeat": data[:stop] + middle + data[stop:],
            "put": data[:start] + self.content + data[stop:],
            "insert": data[:start] + self.content + data[start:],
            "flip": data[:start] + bytes(byte ^ 0x55 for byte in middle) + data[stop:],
            "zero": data[:start] + bytes(len(middle)) + data[stop:],
        }
        made["cut"] = data[:start]
        return made[self.kind]


KINDS = ("cut", "delete", "repeat", "put", "insert", "flip", "zero")
mutations = st.lists(
    st.builds(
        Mutation,
        st.sampled_from(KINDS),
        st.floats(0.0, 1.0),
        st.sampled_from([1, 1, 1, 2, 4, 8, 64, 512]),
        st.one_of(st.sampled_from(ODD), st.binary(max_size=8)),
    ),
    min_size=1,
    max_size=3,
)


def outcome(path: Path, kind: str) -> tuple[str, ...]:
    """The lines that refuse a file; none where it is read."""
    query = "select * from prices" if kind == "sqlite" else None
    try:
        File(path=str(path), columns=COLUMNS, asked=ASKED, query=query).load()
    except RunnerError as error:
        refusal = error
    else:
        return ()
    assert refusal.exit_code == 2
    assert refusal.mistakes
    return refusal.mistakes


@pytest.mark.parametrize("kind", FORMATS)
def test_a_good_file_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"prices.{kind}"
    path.write_bytes(good(kind))
    assert outcome(path, kind) == ()


def test_every_mutated_file_is_read_or_refused_in_one_line_per_mistake(
    pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    most = EXAMPLES * (MORE if pytestconfig.getoption("--slow") else 1)

    @seed(SEED)
    @settings(
        max_examples=most, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.sampled_from(sorted(FORMATS)), mutations)
    def check(kind: str, changes: list[Mutation]) -> None:
        data = good(kind)
        for change in changes:
            data = change.of(data)
        path = tmp_path / f"prices.{kind}"
        path.write_bytes(data)
        begun = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", ResourceWarning)
            lines = outcome(path, kind)
        assert time.process_time() - begun < AT_ONCE
        for line in lines:
            assert "\n" not in line
            assert ": " in line
            assert len(line) < LONGEST

    check()
