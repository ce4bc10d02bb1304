"""Public names of a package, imported from its modules when they are first asked for (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any
from warnings import warn


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


# Where the names of earlier modules are now: logged specs, YAML files and scripts of users hold
# them. Modules below one of these are meant too.
RENAMED = {
    "runner.analyses": "runner.analyses",
    "runner.boosting": "runner.models",
    "runner.cross_asset": "runner.models",
    "runner.data.sources.factor_truth": "runner.data",
    "runner.data.sources.simulated": "runner.data",
    "runner.factors": "runner.features",
    "runner.fit": "runner.models",
    "runner.fixed": "runner.models",
    "runner.folds": "runner.validation",
    "runner.market": "runner.data",
    "runner.models.cross_asset": "runner.models",
    "runner.models.rolling": "runner.models",
    "runner.panel": "runner.panels.panel",
    "runner.regression": "runner.models",
    "runner.rolling": "runner.models",
    "runner.settings": "runner.schema.settings",
    "runner.sources": "runner.data",
    "runner.study": "runner.analyses",
    "runner.two_pass": "runner.models",
}


def present(module: str) -> str:
    """The module that has the names of this one now; itself where nothing was renamed."""
    for earlier, package in RENAMED.items():
        if module == earlier or module.startswith(f"{earlier}."):
            return package
    return module


class EarlierModules(MetaPathFinder, Loader):
    """Finds modules under the names that they had: `from runner.sources.file import File` works.

    It comes last, so that a module that is there is never hidden.
    """

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """A module that hands on the names of the present one; None where nothing was renamed.

        Raises:
            ModuleNotFoundError: a public name is called so now, and an import would hide it.
        """
        now = present(fullname)
        if now == fullname:
            return None
        package, _, name = fullname.rpartition(".")
        if name in vars(sys.modules[package]).get("__all__", ()):
            raise ModuleNotFoundError(
                f"{fullname} is a name of {package} now, no module; what it held is in {now}",
                name=fullname,
            )
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> None:
        """The import system makes a plain module."""

    def exec_module(self, module: ModuleType) -> None:
        """Let the module give what the present one has, and warn its importer."""
        now = present(module.__name__)

        def attribute(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            return getattr(import_module(now), name)

        vars(module)["__getattr__"] = attribute
        warn(f"{module.__name__} is {now} now", DeprecationWarning, stacklevel=2)
