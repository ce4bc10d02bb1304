"""What there is to choose, from the command line: every group, every option, every setting with its meaning."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from conftest import Outcome, call_cli

from runner.cli.catalogue import options_of
from runner.cli.composition import Composer
from runner.experiment.settings import GROUPS

ALL = [*GROUPS, "experiment", "sweep"]


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    """What `help` says of an option, such as model/ridge: each asked once."""
    folder = tmp_path_factory.mktemp("explained")
    return cache(lambda option: call_cli(folder, "help", option, "--full"))


def test_every_group_and_option_is_listed_and_explained(cli, explained) -> None:
    composer = Composer()
    groups = cli("list").out
    for group in ALL:
        options = options_of(composer, group)
        assert f"{group}: {', '.join(options)}" in groups
        listed = cli("list", group)
        assert listed.code == 0
        assert [line.split()[0] for line in listed.out.splitlines()] == [
            f"{group}={name}" for name in options
        ]
        for name in options:
            done = explained(f"{group}/{name}")
            assert done.code == 0, done.err
            assert done.out.startswith(f"{group}={name}\n")


@pytest.mark.parametrize("group", ["data", "target", "model", "validation"])
def test_every_setting_has_a_meaning(group: str, explained) -> None:
    for name in options_of(Composer(), group):
        lines = explained(f"{group}/{name}").out.splitlines()
        settings = [k for k, line in enumerate(lines) if "(allowed: " in line]
        for k in settings:
            assert lines[k + 1 : k + 2], f"{name}: {lines[k]}"
            assert lines[k + 1].startswith("      "), f"{name}: {lines[k]}"


@pytest.mark.parametrize("name", ["file", "french", "yahoo"])
def test_an_option_of_many_settings_has_a_line_for_each_and_all_with_full(
    name: str, cli, explained
) -> None:
    short = cli("help", f"data/{name}").out.splitlines()
    whole = explained(f"data/{name}").out.splitlines()
    assert len(short) <= 60 and len(whole) > 100
    assert max(map(len, short)) <= 100
    named = [line.split(":")[0] for line in whole if "(allowed: " in line]
    own = named[: named.index("  allow_loss")]
    for setting in (*own, "  allow_loss", "  delisting", "  series"):
        assert sum(line.startswith(f"{setting}: ") for line in short) >= 1, setting
    assert "stale, timing, date" in " ".join(short)
    assert short[-1].endswith(f"python -m runner help data/{name} --full")


def test_an_option_of_ones_own_is_explained_too(tmp_path, cli) -> None:
    (tmp_path / "mine" / "features").mkdir(parents=True)
    text = "# Mine.\nx: {_target_: runner.features.momentum, window: 5}\n"
    (tmp_path / "mine" / "features" / "own.yaml").write_text(text)
    out = cli("help", "features/own", "--config-dir", "mine").out
    assert "x: runner.features.momentum(window=5)" in out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["list", "modl"], "error: list: 'modl' is unknown"),
        (["help", "model/rigde"], "did you mean 'ridge'?"),
        (["help"], "error: help: of what? allowed: GROUP or GROUP/OPTION"),
        (["list", "model", "data"], "error: list: given model data"),
    ],
)
def test_a_wrong_name_is_one_line(words: list[str], line: str, cli) -> None:
    done = cli(*words)
    assert done.code == 2
    assert line in done.err
    assert len(done.err.splitlines()) == 1


def test_the_versions(cli) -> None:
    out = cli("--version").out
    assert out.startswith("factor-runner 0.")
    for name in ("Python", "numpy", "pandas", "mlflow"):
        assert f"{name} " in out
