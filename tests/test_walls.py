"""The walls of the house: what may import what, how full rooms and lines are, what a mistake costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from walls import (
    FLOORS,
    arrows,
    circle,
    crowded,
    imported,
    lengths,
    modules,
    own_nodes,
    readability,
    statements,
    upward,
)

ROOT = Path(__file__).parent.parent
MODULES = modules(ROOT)
ONLY_IN = {  # library -> the only modules or packages that import it
    "hydra": ("runner.cli",),
    "omegaconf": ("runner.cli",),
    "mlflow": ("runner.sinks", "runner.sweeps.telling.tracked"),
    "matplotlib": ("runner.sinks",),
    "rich": (
        "runner.sinks",
        "runner.sweeps.telling",
        "runner.data.sources.yahoo",
    ),
    "markdown_it": ("runner.cli.site",),
    "yfinance": ("runner.data.sources.yahoo",),
}
HEAVY = ("pandas", "scipy", "statsmodels", "mlflow", "matplotlib", "pyarrow", "yfinance", "sklearn")
MOST_LINES = 450  # of a module
LONGEST = 50  # lines of a function, without its docstring


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    for name, path in MODULES.items():
        if any(one.split(".")[0] == library for one in imported(path)):
            assert name.startswith(ONLY_IN[library]), f"{name} imports {library}"


def test_every_import_runs_down() -> None:
    assert upward(arrows(ROOT)) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(arrows(ROOT)) == []


def test_no_room_is_crowded() -> None:
    assert crowded(ROOT) == []


def test_every_floor_has_its_rooms() -> None:
    below = {name.split(".")[1] for name in MODULES if name != "runner"}
    assert below == {room for floor in FLOORS for room in floor}


def planted(root: Path, files: dict[str, str]) -> Path:
    """A small house with these files below runner."""
    for name, text in files.items():
        path = root / "runner" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_planted_upward_import_is_seen_for_types_too(tmp_path: Path) -> None:
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from runner.models.a import A\n"
    )
    root = planted(tmp_path, {"models/a.py": "A = 1\n", "panels/b.py": text})
    assert upward(arrows(root)) == ["runner.panels.b imports runner.models.a"]


def test_a_planted_import_beside_is_seen(tmp_path: Path) -> None:
    files = {"schema/a.py": "A = 1\n", "record/b.py": "from runner.schema.a import A\n"}
    assert upward(arrows(planted(tmp_path, files))) == ["runner.record.b imports runner.schema.a"]


def test_a_planted_circle_is_seen(tmp_path: Path) -> None:
    first = "def f():\n    from runner.models.b import B\n"
    root = planted(
        tmp_path, {"models/a.py": first, "models/b.py": "from runner.models.a import f\n"}
    )
    assert circle(arrows(root)) == ["runner.models.a", "runner.models.b"]


def test_a_planted_ninth_file_and_thirteenth_module_are_seen(tmp_path: Path) -> None:
    root = planted(tmp_path, {f"top{k}.py": "" for k in range(9)})
    planted(tmp_path, {"models/__init__.py": "", **{f"models/m{k}.py": "" for k in range(13)}})
    assert crowded(root) == ["runner: 9 files; allowed: 8", "models: 13 modules; allowed: 12"]


@pytest.mark.parametrize(
    "words", [["--help"], ["--cfg", "job"], ["model.covv=1"], ["data=file"], ["model.cov=HC9"]]
)
def test_help_and_mistakes_import_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from runner.__main__ import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        f"print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "heavy: []", done.stdout[-300:] + done.stderr


def test_importing_the_package_and_its_public_names_is_cheap(tmp_path: Path) -> None:
    code = (
        "import sys, runner, runner.models, runner.data\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), 'hydra' in sys.modules)"
    )
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] False"


def test_the_nodes_of_a_statement_are_counted_without_those_of_statements_inside() -> None:
    text = "def f(x):\n    'Docstring.'\n    import os\n    if x > 1:\n        y = os.sep\n    return x\n"
    counted = {
        type(statement).__name__: len(list(own_nodes(statement)))
        for statement in statements(ast.parse(text))
    }
    # If, Compare, Name, Load, Gt, Constant; Assign, Name, Store, Attribute, Load, Name, Load
    assert counted == {"If": 6, "Assign": 7, "Return": 3}


def test_no_function_is_long_and_no_module_is_large() -> None:
    for name, path in MODULES.items():
        assert path.read_text().count("\n") <= MOST_LINES, name
        for function, length in lengths(path):
            assert length <= LONGEST, f"{name}.{function} has {length} lines"


def test_statements_are_as_plain_as_those_of_the_codebases_that_we_admire() -> None:
    """The bounds are an alarm, the aim is a stranger who reads a function once.

    Those of arch, linearmodels and others, measured alike, stand with `Readability`.
    """
    figures = readability(list(MODULES.values()))
    assert figures.median <= 11, figures
    assert figures.plain >= 0.53, figures
    assert figures.ninth_decile <= 21, figures
    assert figures.over_40 <= 0.01, figures
    assert figures.comprehensions <= 50, figures
    assert figures.ternaries <= 30, figures
    assert figures.long_lines == 0, figures
