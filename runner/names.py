"""Public names of a package, imported from its modules when they are first asked for (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package.

    Args:
        package: its dotted name.
        modules: name -> the module that defines it, below the package, or dotted from `runner.` on.
    """
    public = sorted(modules)

    def attribute(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = modules[name]
        if not module.startswith("runner."):
            module = f"{package}.{module}"
        return getattr(import_module(module), name)

    def names() -> list[str]:
        return public

    return attribute, names, public


# Where the names of earlier modules are now: logged specs and YAML files of users hold them.
RENAMED = {
    "runner.analyses": "runner.analyses",
    "runner.boosting": "runner.models",
    "runner.cross_asset": "runner.models",
    "runner.factors": "runner.features",
    "runner.fixed": "runner.models",
    "runner.regression": "runner.models",
    "runner.rolling": "runner.models",
    "runner.sources": "runner.data",
    "runner.two_pass": "runner.models",
}


def present(module: str) -> str:
    """The module that has the names of this one now; itself where nothing was renamed."""
    for earlier, package in RENAMED.items():
        if module == earlier or module.startswith(f"{earlier}."):
            return package
    return module
