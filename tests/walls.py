"""The walls of the house: which package may import which, how full a package may be, how plain a line."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

# Packages and modules below `runner`, a floor a line, the highest first: an import goes down, or
# stays inside its package; those on one floor do not know each other.
FLOORS = (
    ("__main__",),
    ("replications",),
    ("api",),
    ("cli", "session"),
    ("sweeps",),
    ("sinks",),
    ("experiment", "analyses"),
    ("trials",),
    ("models",),
    ("estimators",),
    ("validation",),
    ("panels",),
    ("targets",),
    ("features",),
    ("data", "preprocessing"),
    ("compute",),
    ("numerics", "schema", "record"),
    ("text", "errors", "progress", "names"),
)
MOST_AT_TOP = 8  # Python files of `runner` itself
MOST_IN_PACKAGE = 12  # modules of a package beside its `__init__`
Arrows = Mapping[str, frozenset[str]]


def modules(root: Path) -> dict[str, Path]:
    """Dotted name -> file of every module below `root`/runner."""
    found = {}
    for path in sorted((root / "runner").rglob("*.py")):
        dotted = ".".join(path.relative_to(root).with_suffix("").parts)
        found[dotted.removesuffix(".__init__")] = path
    return found


@cache
def imported(path: Path) -> frozenset[str]:
    """Dotted names that a file imports, at the top, inside functions and for types alike."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            names.add(str(node.module))
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def arrows(root: Path) -> Arrows:
    """Module -> modules of the package that it imports."""
    files = modules(root)
    own = {}
    for name, path in files.items():
        targets = imported(path) & set(files)
        inner = {target for target in targets if any(t.startswith(f"{target}.") for t in targets)}
        own[name] = frozenset(targets - inner - {name, "runner"})
    return own


def room(module: str) -> str:
    """The package or module right below `runner` that a module is in."""
    return module.split(".")[1]


def upward(graph: Arrows) -> list[str]:
    """Imports that do not run down, and rooms that have no floor."""
    floor = {name: number for number, rooms in enumerate(reversed(FLOORS)) for name in rooms}
    faults = []
    for module, targets in graph.items():
        if module == "runner":
            continue
        if room(module) not in floor:
            faults.append(f"{module} has no floor")
            continue
        for target in targets:
            inside = room(target) == room(module)
            if not inside and floor.get(room(target), 0) >= floor[room(module)]:
                faults.append(f"{module} imports {target}")
    return sorted(faults)


def circle(graph: Arrows) -> list[str]:
    """Modules that import each other in a circle, or lie above one; none without a circle."""
    left = dict(graph)
    while left:
        free = [module for module, targets in left.items() if not targets & set(left)]
        if not free:
            return sorted(left)
        for module in free:
            del left[module]
    return []


def crowded(root: Path) -> list[str]:
    """Packages with more files than they may have."""
    faults = []
    for folder in sorted({path.parent for path in modules(root).values()}):
        files = sorted(folder.glob("*.py"))
        if folder == root / "runner":
            if len(files) > MOST_AT_TOP:
                faults.append(f"runner: {len(files)} files; allowed: {MOST_AT_TOP}")
        elif len(files) - 1 > MOST_IN_PACKAGE:
            faults.append(f"{folder.name}: {len(files) - 1} modules; allowed: {MOST_IN_PACKAGE}")
    return faults


class Readability(NamedTuple):
    """How full statements of function bodies are, docstrings and imports left out.

    Nodes are those of Python's `ast`: the statement itself, names with their contexts, operators
    and keywords; statements inside it are counted for themselves. So measured, arch has a median of
    10 and a ninth decile of 23, linearmodels 10 and 22, httpx 8 and 18, formulaic 9 and 24,
    skfolio 10 and 22, kedro 9 and 19.

    Attributes:
        median, ninth_decile: syntax nodes a statement.
        plain: share of statements with at most 11 nodes; arch .55, linearmodels .59, httpx .71.
        over_40: share of statements with more than 40 nodes.
        comprehensions, ternaries: per 1,000 statements.
        long_lines: share of lines over 100 characters.
    """

    median: int
    ninth_decile: int
    plain: float
    over_40: float
    comprehensions: float
    ternaries: float
    long_lines: float


COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
PLAIN = 11  # nodes of a statement at the most, for the reader who reads it once
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
IMPORTS = (ast.Import, ast.ImportFrom)  # lazy on purpose, and nothing to read
HOLDERS = (ast.ExceptHandler, ast.match_case)  # hold statements, and are none


def readability(files: list[Path]) -> Readability:
    """The figures of these files together."""
    sizes: list[int] = []
    comprehensions = ternaries = lines = long = 0
    for path in files:
        text = path.read_text(encoding="utf-8")
        for line in text.splitlines():
            lines += 1
            long += len(line) > 100
        for statement in statements(ast.parse(text)):
            nodes = list(own_nodes(statement))
            sizes.append(len(nodes))
            comprehensions += sum(isinstance(node, COMPREHENSIONS) for node in nodes)
            ternaries += sum(isinstance(node, ast.IfExp) for node in nodes)
    sizes.sort()
    n = len(sizes)
    return Readability(
        median=sizes[n // 2],
        ninth_decile=sizes[int(n * 0.9)],
        plain=sum(size <= PLAIN for size in sizes) / n,
        over_40=sum(size > 40 for size in sizes) / n,
        comprehensions=1000 * comprehensions / n,
        ternaries=1000 * ternaries / n,
        long_lines=long / lines,
    )


def statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements of every function body but docstrings and imports; functions inside are bodies of their own."""
    for function in ast.walk(tree):
        if isinstance(function, FUNCTIONS):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            yield from _below(body)


def _below(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef, *IMPORTS)):
            continue
        yield statement
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.stmt):
                yield from _below([child])
            elif isinstance(child, HOLDERS):
                held = ast.iter_child_nodes(child)
                inner = [node for node in held if isinstance(node, ast.stmt)]
                yield from _below(inner)


def own_nodes(statement: ast.stmt) -> Iterator[ast.AST]:
    """The syntax nodes of a statement, those of statements inside it left out."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        children = ast.iter_child_nodes(node)
        waiting.extend(child for child in children if not isinstance(child, (ast.stmt, *HOLDERS)))


def lengths(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of every function, its docstring left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, FUNCTIONS):
            doc = ast.get_docstring(node, clean=False)
            documented = doc.count("\n") + 1 if doc else 0
            yield node.name, int(node.end_lineno or 0) - node.lineno + 1 - documented
