"""Files that are not what they seem: one line each, and no more memory than there is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner import progress
from runner.compute import memory
from runner.data import File
from runner.data.reading import content, files
from runner.errors import DataError
from runner.text import one_line

ROWS = 400


def table() -> pd.DataFrame:
    """Prices of one asset with some digits, so that a byte more or less is seen."""
    draw = np.random.default_rng(3)
    dates = pd.bdate_range("2021-01-01", periods=ROWS)
    close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, ROWS)))
    return pd.DataFrame({"date": dates, "asset": "A", "close": close})


def text() -> bytes:
    return table().to_csv(index=False).encode()


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("prices.csv", data)
    return buffer.getvalue()


def excel() -> bytes:
    buffer = io.BytesIO()
    table().to_excel(buffer, index=False)
    return buffer.getvalue()


def parquet(**options: bool) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(table()), buffer, **options)
    return buffer.getvalue()


MADE: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(text()),
    "bz2": lambda: bz2.compress(text()),
    "xz": lambda: lzma.compress(text()),
    "zip": lambda: zipped(text()),
    "xlsx": excel,
    "parquet": lambda: parquet(write_page_checksum=True),
}


def refused(path: Path) -> str:
    """The one line that refuses a file when its columns are read."""
    with pytest.raises(DataError) as caught:
        files.open_files("data.path", path).everything(set())
    [line] = caught.value.mistakes
    return line


@pytest.mark.parametrize("kind", MADE)
def test_a_file_cut_in_two_or_with_other_bytes_is_one_line(tmp_path: Path, kind: str) -> None:
    whole = MADE[kind]()
    middle = len(whole) // 2
    other = bytearray(whole)
    for place in range(middle, middle + 8):
        other[place] ^= 0x55
    for name, data in {"cut": whole[:middle], "other": bytes(other)}.items():
        path = tmp_path / f"{name}.{kind}"
        path.write_bytes(data)
        assert "is not a whole" in refused(path)


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "prices.csv"
    os.mkfifo(pipe)
    assert refused(pipe).endswith("is a pipe or a device; allowed: a file")


@pytest.mark.parametrize("kind", ["gzip", "xz", "zip"])
def test_what_would_unpack_beyond_memory_is_refused_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    rows = b"2021-01-01,A,100.0\n" * 1_000_000  # 19 MB in some kilobytes
    pack = {"gzip": gzip.compress, "xz": lzma.compress, "zip": zipped}
    path = tmp_path / "bomb"
    path.write_bytes(pack[kind](b"date,asset,close\n" + rows))
    monkeypatch.setattr(content, "available", lambda: 45_000_000)
    assert "GB or more without its compression; there are 0.0 GB" in refused(path)


def test_who_waits_for_a_large_file_hears_how_far_it_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prices.csv.gz"
    path.write_bytes(gzip.compress(text()))
    monkeypatch.setattr(progress, "TOLD", 0.01)
    monkeypatch.setattr(content, "refuse_large", lambda *arguments: time.sleep(0.2))
    files.open_files("data.path", path).everything(set())
    assert f"data.path: {str(path)!r}: 0.0 GB unpacked in 0 s\n" in capsys.readouterr().err


def test_names_longer_than_a_line_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(b"x" * 20_000 + text())
    with pytest.raises(DataError) as caught:
        File(path=str(path), columns={name: name for name in ("date", "asset", "close")}).load()
    assert "x" * 200 + "... (19,804 characters more)" in str(caught.value)
    assert all(len(line) < 1000 for line in caught.value.mistakes)


def test_names_of_several_lines_are_said_on_one(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(b'"a\nb"' + text())
    with pytest.raises(DataError) as caught:
        File(path=str(path), columns={name: name for name in ("date", "asset", "close")}).load()
    assert r"a\nbdate" in str(caught.value)
    assert all("\n" not in line for line in caught.value.mistakes)


def test_more_equal_rows_than_memory_holds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"date": np.zeros(1_000_000), "close": np.ones(1_000_000)}), path)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(memory, "available", lambda: 10_000_000)
    assert "has 1,000,000 rows of 2 columns, there are 0.0 GB" in refused(path)


@pytest.mark.parametrize("assets", [12_000])
def test_a_header_longer_than_the_beginning_of_a_file_is_read_whole(
    tmp_path: Path, assets: int
) -> None:
    names = [f"ASSET{number:05d}" for number in range(assets)]
    values = np.arange(3 * assets, dtype=float).reshape(3, assets)
    dates = pd.bdate_range("2021-01-01", periods=3)
    path = tmp_path / "wide.csv"
    pd.DataFrame(values, dates, names).to_csv(path, index_label="date")
    opened = files.open_files("data.path", path)
    assert opened.names == ["date", *names]
    read = opened.load({"data.columns.close": names[-1]}, set())
    assert read.column(0).to_pylist() == values[:, -1].tolist()


def test_a_long_text_in_the_middle_of_a_file_is_one_line(tmp_path: Path) -> None:
    lines = [b"2021-01-01,A,1.0,short"] * 5000
    lines[4000] = b"2021-01-01,A,1.0," + b"x" * 5_000_000
    path = tmp_path / "long.csv"
    path.write_bytes(b"\n".join([b"date,asset,close,note", *lines, b""]))
    assert "a line of" in refused(path)


@pytest.mark.parametrize("seed", range(4))
def test_rubbish_with_the_name_of_a_table_is_one_line(tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    least = 128 * (seed % 2)  # letters of other scripts alone, or any bytes
    path = tmp_path / "prices.csv"
    path.write_bytes(draw.integers(least, 256, 200_000, dtype=np.uint8).tobytes())
    assert "data.path: " in refused(path)


def test_altered_offsets_of_texts_do_not_end_the_process(tmp_path: Path) -> None:
    dates = ["2021-01-01", "2021-01-04", "2021-01-05"]
    batch = pa.record_batch({"date": dates, "close": [1.0, 2.0, 3.0]})
    path = tmp_path / "prices.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    whole = path.read_bytes()
    offsets = np.array([0, 10, 20, 30], dtype=np.int32).tobytes()
    beyond = np.array([0, 10, 2_000_000_000, 30], dtype=np.int32).tobytes()
    assert whole.count(offsets) == 1
    path.write_bytes(whole.replace(offsets, beyond))
    assert "is not a whole Arrow file" in refused(path)


def test_a_message_that_repeats_the_file_is_cut(tmp_path: Path) -> None:
    archive = bytearray(excel())
    directory = archive.rindex(b"PK\x01\x02", 0, archive.index(b"PK\x05\x06"))
    archive[directory + 28 : directory + 30] = b"\xff\x7f"  # a name of 32,767 letters
    whole = bytes(archive[:-22])
    path = tmp_path / "prices.xlsx"
    path.write_bytes(whole + bytes(40_000) + bytes(archive[-22:]))
    assert len(refused(path)) < 1000
    assert one_line(ValueError("x" * 20_000)) == "x" * 500 + " ..."


def test_a_file_that_the_disk_does_not_give_is_one_line() -> None:
    assert refused(Path("/proc/self/mem")).endswith("cannot be read: Input/output error")
