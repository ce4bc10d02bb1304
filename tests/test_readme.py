"""The README is run: every command in it, as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Outcome, call_cli

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


def blocks(mark: str) -> list[str]:
    """The code blocks that a comment marks."""
    return re.findall(rf"<!-- {mark} -->\n```\w*\n(.*?)```", TEXT, flags=re.DOTALL)


def commands(mark: str) -> list[str]:
    return [
        line.split("   #")[0].strip()
        for block in blocks(mark)
        for line in block.splitlines()
        if line.strip()
    ]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def called(command: str, folder: Path) -> Outcome:
    """The command in this process, cut as a shell would; pipes and variables would show as words."""
    python, *words = shlex.split(command)
    assert [python, *words[:2]] == ["python", "-m", "runner"]
    return call_cli(folder, *words[2:])


@pytest.mark.parametrize("command", commands("commands: offline"))
def test_command_of_the_readme_runs(command: str, tmp_path: Path) -> None:
    outcome = called(command, tmp_path)
    assert outcome.code == 0, outcome.err
    assert outcome.out


def test_your_own_signal_in_two_files(tmp_path: Path) -> None:
    for name in ("my_signals.py", "conf/features/reversal.yaml"):
        [text] = blocks(f"file: {re.escape(name)}")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    [command] = commands("commands: signal")
    done = shell(command, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "reversal" in done.stdout


def test_features_as_text(tmp_path: Path) -> None:
    [text] = blocks("file: conf/features/mine.yaml")
    (tmp_path / "conf" / "features").mkdir(parents=True)
    (tmp_path / "conf" / "features" / "mine.yaml").write_text(text)
    for command, term in zip(commands("commands: text"), ("calm", "size"), strict=True):
        done = called(command, tmp_path)
        assert done.code == 0, done.err
        assert term in done.out


def test_the_two_commands_are_those_that_ci_runs() -> None:
    """`.ci/run` takes them from the README, so that they cannot differ."""
    script = (ROOT / ".ci" / "run").read_text()
    for mark in ("run", "test"):
        assert len(commands(f"command: {mark}")) == 1
        assert f'readme_command "{mark}"' in script


def test_every_experiment_and_option_is_named() -> None:
    for path in (ROOT / "conf").glob("*/*.yaml"):
        assert f"`{path.stem}`" in TEXT, f"README does not name {path.parent.name}={path.stem}"


def test_what_the_readme_shows_is_what_the_default_run_prints(tmp_path: Path) -> None:
    printed = {
        " ".join(line.split()) for line in shell("python -m runner", tmp_path).stdout.splitlines()
    }
    [shown] = re.findall(r"prints \(shortened\):\n\n```\n(.*?)```", TEXT, flags=re.DOTALL)
    for line in shown.splitlines():
        assert line == "..." or " ".join(line.split()) in printed, line


def test_pictures_exist() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT):
        assert (ROOT / path).is_file(), path


def test_python_of_the_readme_runs_and_leaves_nothing(tmp_path: Path) -> None:
    [code] = blocks("python")
    (tmp_path / "snippet.py").write_text(code)
    done = shell("python snippet.py", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["snippet.py"]
