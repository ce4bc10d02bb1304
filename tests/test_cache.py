"""The cache that processes share: what comes out is what went in, whole, ours, or nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, call_cli, run_cli

from runner.data.market import Market
from runner.data.notices import Dropped
from runner.panels.panel import Panel
from runner.record import signature
from runner.sweeps import cache as sharing
from runner.sweeps.cache import FIELDS, HEAD_BYTES, STALE, Cache, SharedBench

DATES = pd.bdate_range("2020-01-01", periods=500, name="date")
ASSETS = [f"A{i}" for i in range(40)]
CELLS = np.random.default_rng(1).normal(size=(500, 40))


def market() -> Market:
    close = pd.DataFrame(CELLS, DATES, ASSETS)
    groups = pd.DataFrame({"sector": ["X", "Y"] * 20}, index=ASSETS)
    series = pd.DataFrame({"rate": CELLS[:, 0]}, DATES)
    return Market(
        "here", {"close": close}, series, close["A3"], groups, (Dropped("row", "why", 7),)
    )


def panel() -> Panel:
    X = np.stack([CELLS, CELLS**2], axis=2)
    valid = CELLS > -2
    return Panel(
        DATES,
        ASSETS,
        ["one", "two"],
        CELLS,
        X,
        valid,
        1,
        market().groups,
        (Dropped("row", "why", 7),),
    )


@pytest.fixture(autouse=True)
def secret_is_read_anew() -> Iterator[None]:
    yield
    signature._secret.cache_clear()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 1e9)


def path_of(cache: Cache, key: str) -> Path:
    return cache.directory / f"{key}.runner-cache"


def python(code: str, *words: str) -> subprocess.Popen:
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    return subprocess.Popen([sys.executable, "-c", code, *words], env=env)


def test_market_comes_back_equal_and_read_only(cache: Cache) -> None:
    cache.put("m", market())
    found, before = cache.get("m"), market()
    pd.testing.assert_frame_equal(
        found.get("close"), before.get("close"), check_exact=True, check_freq=False
    )
    pd.testing.assert_frame_equal(found.series, before.series, check_exact=True, check_freq=False)
    pd.testing.assert_series_equal(
        found.market_close, before.market_close, check_exact=True, check_freq=False
    )
    pd.testing.assert_frame_equal(found.groups, before.groups)
    assert (found.source, found.dropped, found.fingerprint) == (
        before.source,
        before.dropped,
        before.fingerprint,
    )
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(found.get("close"))[0, 0] = 1.0


def test_panel_comes_back_equal_read_only_and_not_copied(cache: Cache) -> None:
    cache.put("p", panel())
    found, before = cache.get("p"), panel()
    for name in ("y", "X", "valid"):
        array = getattr(found, name)
        assert np.array_equal(array, getattr(before, name)), name
        assert not array.flags.writeable and not array.flags.owndata, name
        assert array.ctypes.data % 64 == 0, name
    assert found.dates.equals(before.dates)
    assert (found.assets, found.names, found.horizon, found.dropped) == (
        ASSETS,
        ["one", "two"],
        1,
        before.dropped,
    )
    mapped = Path("/proc/self/maps").read_text()
    [line] = [one for one in mapped.splitlines() if one.endswith(str(path_of(cache, "p")))]
    low, high = (int(end, 16) for end in line.split()[0].split("-"))
    assert low <= found.X.ctypes.data < high


def test_what_is_not_there_is_nothing(cache: Cache) -> None:
    assert cache.get("x") is None
    assert cache.entries() == []
    cache.empty()


WRITE = """
import sys
from test_cache import Cache, Path, market
cache = Cache(Path(sys.argv[1]), 1e9)
for _ in range(30):
    cache.put("m", market())
    assert cache.get("m").fingerprint == market().fingerprint
"""


def test_four_simultaneous_writers_do_no_harm(cache: Cache) -> None:
    writers = [python(WRITE, str(cache.directory)) for _ in range(4)]
    assert [one.wait() for one in writers] == [0] * 4
    assert cache.get("m").fingerprint == market().fingerprint
    assert [path.name for path in cache.directory.iterdir()] == ["m.runner-cache"]


def test_a_file_that_was_replaced_since_it_was_opened_is_read(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put("m", market())
    opened = os.open

    def replaced_at_once(path: Any, flags: int, *mode: int) -> int:
        file = opened(path, flags, *mode)
        if Path(path) == path_of(cache, "m"):
            monkeypatch.setattr(os, "open", opened)
            cache.put("m", market())  # as another process may
        return file

    monkeypatch.setattr(os, "open", replaced_at_once)
    assert cache.get("m").fingerprint == market().fingerprint


DIE = """
import os, signal, sys
from test_cache import Cache, Path, market
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
Cache(Path(sys.argv[1]), 1e9).put("m", market())
"""


def test_killed_writer_leaves_nothing_that_is_read_or_stays(cache: Cache) -> None:
    assert python(DIE, str(cache.directory)).wait() == -signal.SIGKILL
    [rest] = cache.directory.iterdir()
    assert rest.name.endswith(".runner-new")
    assert cache.get("m") is None
    assert cache.entries() == []
    cache.put("m", market())
    assert cache.get("m").fingerprint == market().fingerprint
    assert rest.exists()  # another may be writing it now
    old = time.time() - STALE - 1
    os.utime(rest, (old, old))
    cache.put("p", panel())
    assert not rest.exists()


def test_file_cut_short_anywhere_is_not_used(cache: Cache) -> None:
    cache.put("m", market())
    whole = path_of(cache, "m").read_bytes()
    for length in [*range(0, 400, 7), len(whole) // 2, len(whole) - 1]:
        path_of(cache, "cut").write_bytes(whole[:length])
        assert cache.get("cut") is None, length
    path_of(cache, "cut").write_bytes(whole + b"\0")
    assert cache.get("cut") is None


def test_file_with_any_bit_flipped_is_not_used(cache: Cache) -> None:
    cache.put("p", panel())
    whole = path_of(cache, "p").read_bytes()
    _, _, _, length, count = FIELDS.unpack_from(whole)
    head = HEAD_BYTES + 8 * count
    in_pickle = range(head, head + length, 13)
    in_buffers = range(head + length, len(whole), len(whole) // 200)
    for at in (*range(head), *in_pickle, *in_buffers):
        bits = range(8) if at < head else [at % 8]
        for bit in bits:
            path_of(cache, "p").write_bytes(
                whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :]
            )
            assert cache.get("p") is None, (at, bit)


def test_entry_with_a_flipped_bit_is_made_again_and_replaced(cache: Cache) -> None:
    made = []

    def make() -> Panel:
        made.append(1)
        return panel()

    first = SharedBench(cache, "code", {}).get("panel", {"of": 1}, make)
    [(path, size)] = cache.entries()
    damaged = bytearray(path.read_bytes())
    damaged[size // 2] ^= 1
    path.write_bytes(damaged)
    again = SharedBench(cache, "code", {}).get("panel", {"of": 1}, make)
    assert np.array_equal(again.X, first.X) and np.array_equal(again.y, first.y)
    assert len(made) == 2
    SharedBench(cache, "code", {}).get("panel", {"of": 1}, make)
    assert len(made) == 2


def test_beyond_its_limit_what_was_used_longest_ago_goes(cache: Cache) -> None:
    cache.put("a", CELLS)
    size = path_of(cache, "a").stat().st_size
    small = Cache(cache.directory, 3.5 * size)
    for name in "bc":
        small.put(name, CELLS)
    for age, name in enumerate("cba"):  # a longest ago
        moment = time.time() - 1000 - age
        os.utime(path_of(cache, name), (moment, moment))
    small.get("a")
    small.put("d", CELLS)
    assert {path.stem for path, _ in small.entries()} == {"a", "c", "d"}
    assert next(path.stem for path, _ in small.entries()) == "c"
    tiny = Cache(cache.directory, 1.0)
    tiny.put("e", CELLS)
    assert [path.stem for path, _ in tiny.entries()] == ["e"]  # what was written last is kept


def test_what_is_open_stays_whole_after_it_was_removed(cache: Cache) -> None:
    cache.put("p", panel())
    found = cache.get("p")
    cache.empty()
    assert np.array_equal(found.X, panel().X)


def test_file_of_another_user_is_not_read(cache: Cache, monkeypatch) -> None:
    cache.put("m", market())
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert cache.get("m") is None
    monkeypatch.undo()
    assert cache.get("m") is not None
    assert cache.directory.stat().st_mode & 0o777 == 0o700


class Evil:
    """What runs code as soon as it is read."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return Path.touch, (Path("pwned"),)


def test_file_of_an_unpacked_folder_of_others_is_not_read(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is this user's own, whole, and of this version: only the signature is another's."""
    monkeypatch.chdir(tmp_path)
    cache.put("mine", market())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "theirs"))
    signature._secret.cache_clear()
    cache.put("m", Evil())
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    signature._secret.cache_clear()
    assert cache.get("m") is None
    assert not Path("pwned").exists()
    assert cache.get("mine") is not None
    secret = tmp_path / "theirs" / "factor-runner" / "secret.key"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in secret.parent.iterdir()] == ["secret.key"]


def test_without_a_home_that_can_be_written_a_process_reads_its_own_files(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    signature._secret.cache_clear()
    cache.put("m", market())
    assert cache.get("m") is not None
    signature._secret.cache_clear()
    assert cache.get("m") is None


def test_file_that_another_user_may_write_is_not_read(cache: Cache) -> None:
    cache.put("m", market())
    path = path_of(cache, "m")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o620)
    assert cache.get("m") is None


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_link_is_not_read_and_is_replaced(cache: Cache, tmp_path: Path, link) -> None:
    cache.put("m", market())
    target = tmp_path / "target"
    path_of(cache, "m").rename(target)
    link(path_of(cache, "m"), target)
    assert cache.get("m") is None
    cache.put("m", market())
    assert cache.get("m").fingerprint == market().fingerprint
    assert not path_of(cache, "m").is_symlink()


def test_fifo_is_not_waited_for(cache: Cache) -> None:
    cache.directory.mkdir()
    os.mkfifo(path_of(cache, "m"))
    assert cache.get("m") is None


def test_file_of_other_versions_is_not_read(cache: Cache, monkeypatch) -> None:
    cache.put("m", market())
    sharing._versions.cache_clear()
    monkeypatch.setattr(sharing, "version", lambda name: "0.0")
    assert cache.get("m") is None
    monkeypatch.undo()
    sharing._versions.cache_clear()
    assert cache.get("m") is not None


def test_full_disk_keeps_nothing_and_goes_on(cache: Cache, monkeypatch) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    cache.put("m", market())
    assert cache.get("m") is None
    assert list(cache.directory.iterdir()) == []


def test_writer_that_is_interrupted_leaves_nothing(cache: Cache, monkeypatch) -> None:
    def interrupt(file: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache.put("m", market())
    assert list(cache.directory.iterdir()) == []


def test_cache_that_cannot_be_a_directory_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "cache", 1e9)
    cache.put("m", market())
    assert cache.get("m") is None
    assert cache.entries() == []


def test_verb_tells_and_empties(tmp_path: Path) -> None:
    words = ["cache", "sweep.cache=here"]
    assert run_cli(tmp_path, *words).out == "here: 0 files, 0 bytes\n"
    Cache(tmp_path / "here", 1e9).put("p", panel())
    size = path_of(Cache(tmp_path / "here", 1e9), "p").stat().st_size
    told = f"here: 1 file, {size:,} bytes\n"
    assert call_cli(tmp_path, *words).out == told
    emptied = f"here: emptied of 1 file, {size:,} bytes\n"
    assert call_cli(tmp_path, *words, "--empty").out == emptied
    assert call_cli(tmp_path, *words).out == "here: 0 files, 0 bytes\n"
    assert call_cli(tmp_path, "cache", "sweep.cach=x").code == 2


def test_files_of_others_are_no_part_of_the_cache(tmp_path) -> None:
    """Any directory may be named: `sweep.cache=/etc` would have removed ld.so.cache."""
    for name in ("ld.so.cache", ".other.new"):
        (tmp_path / name).write_bytes(bytes(1000))
        os.utime(tmp_path / name, (0, 0))
    cache = Cache(tmp_path, 1)
    cache.put("k", b"x" * 100)
    cache.empty()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.new", "ld.so.cache"]
