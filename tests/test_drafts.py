"""Files that are whole or absent, and what killed writers left of them."""

from __future__ import annotations

import os
import shutil
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest

from runner.record.drafts import NEW, remove_left, written_whole


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    with written_whole(path) as file:
        file.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    with pytest.raises(OSError, match="full"), written_whole(path) as file:  # noqa: PT012
        file.write(b"two")
        raise OSError("full")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def die_writing(path: Path) -> None:
    with written_whole(path) as file:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_the_killed_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    process = get_context("spawn").Process(target=die_writing, args=(tmp_path / "lost",))
    process.start()
    process.join()
    [left] = tmp_path.glob(f".*{NEW}")
    with written_whole(tmp_path / "numbers") as file:
        file.write(b"one")
        remove_left(tmp_path)
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["numbers"]


def test_a_draft_taken_for_one_that_is_left_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    lock = "runner.record.drafts.fcntl.flock"

    def late(*_: object) -> None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            shutil.rmtree(tmp_path)
            tmp_path.mkdir()

    monkeypatch.setattr(lock, late)
    with written_whole(tmp_path / "numbers") as file:
        file.write(b"one")
    assert len(taken) == 1
    assert (tmp_path / "numbers").read_bytes() == b"one"
