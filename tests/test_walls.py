"""The walls of the house: what may import what, and what a mistake may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "runner"
MODULES = {
    str(p.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__"): p
    for p in PACKAGE.rglob("*.py")
}
EDGE = {"runner.__main__", "runner.cli.composition"}
# between the core and its sinks
JOBS = {
    "runner.sinks.job",
    "runner.cli.ui",
    "runner.cli.rerun",
    "runner.sweeps.conduct",
    "runner.sweeps.telling.compare",
}
ONLY_IN = {
    "hydra": EDGE,
    "omegaconf": EDGE,
    "mlflow": {"runner.sinks.tracking", "runner.sweeps.telling.tracked", "runner.sinks.ui_plugin"},
    "matplotlib": {"runner.sinks.canvas", "runner.sinks.plots"},
    "rich": {
        "runner.sinks.terminal",
        "runner.sweeps.telling.terminal",
        "runner.sweeps.telling.progress",
        "runner.data.sources.yahoo",
    },
    "yfinance": {"runner.data.sources.yahoo"},
}
HEAVY = ("pandas", "scipy", "statsmodels", "mlflow", "matplotlib", "pyarrow", "yfinance", "sklearn")


def imports(path: Path) -> set[str]:
    """Every module that a file imports, at the top or inside functions, but not those for type checks only."""
    tree = ast.parse(path.read_text())
    guarded = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    for_types = {id(one) for node in guarded for one in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


IMPORTS = {name: imports(path) for name, path in MODULES.items()}


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    users = {
        name
        for name, found in IMPORTS.items()
        if any(one.split(".")[0] == library for one in found)
    }
    assert users <= ONLY_IN[library]


def test_arrows_point_one_way() -> None:
    arrows = {
        name: {one for one in found if one in MODULES and one != name}
        for name, found in IMPORTS.items()
    }
    done: set[str] = set()
    while len(done) < len(arrows):
        free = {
            name
            for name, targets in arrows.items()
            if name not in done and targets - {"runner"} <= done
        }
        assert free, f"a circle among {sorted(set(arrows) - done)}"
        done |= free


def test_the_core_knows_no_sink_and_no_edge() -> None:
    core = {
        name for name in MODULES if not name.startswith("runner.sinks") and name not in EDGE | JOBS
    }
    for name in core:
        assert not {
            one for one in IMPORTS[name] if one.startswith("runner.sinks") or one in EDGE
        }, name


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


def test_no_function_is_long_and_no_module_is_large() -> None:
    for name, path in MODULES.items():
        text = path.read_text()
        assert text.count("\n") < 400, name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                doc = ast.get_docstring(node, clean=False)
                length = node.end_lineno - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)
                assert length <= 40, f"{name}.{node.name} has {length} lines"
