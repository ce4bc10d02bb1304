"""Hydra composes the same files for every spec of a session, and most specs differ in values alone.

Kept for a session are the files that ship, the list of files that a choice of options makes, and what the
files of such a list make together; the values of overrides come into it anew each time. Configs of a
test's own are read and composed as ever.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import pytest
from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.defaults_list import Overrides
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.default_element import ResultDefault
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig

from runner.cli.composition import shipped_conf

SHIPPED = {f"file://{shipped_conf()}", "pkg://hydra.conf", "structured://"}


class Kept:
    """Results by a key, each given as a copy of its own."""

    def __init__(self) -> None:
        self.results: dict[str, bytes] = {}

    def get(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self.results:
            self.results[key] = pickle.dumps(make())
        return pickle.loads(self.results[key])


def places_of(repo: IConfigRepository) -> list[str]:
    """The places that configs come from, the first before the others."""
    return [source.full_path() for source in repo.get_sources()]


@contextmanager
def composed_once() -> Iterator[None]:
    """Hydra keeps in this block what it read, listed and composed."""
    kept = Kept()
    compose = ConfigLoaderImpl._compose_config_from_defaults_list
    list_of = defaults_list._create_defaults_list

    def read_once(read: Callable[..., ConfigResult]) -> Callable[..., ConfigResult]:
        def load_config(source: ConfigSource, config_path: str) -> ConfigResult:
            place = source.full_path()
            if place not in SHIPPED:
                return read(source, config_path)
            return kept.get(f"{place} {config_path}", lambda: read(source, config_path))

        return load_config

    def listed(
        repo: IConfigRepository,
        config_name: str | None,
        overrides: Overrides,
        prepend_hydra: bool,
        skip_missing: bool,
    ) -> Any:
        settings = {"prepend_hydra": prepend_hydra, "skip_missing": skip_missing}
        places = places_of(repo)
        if not SHIPPED.issuperset(places) or overrides.append_group_defaults:
            return list_of(repo, config_name, overrides, **settings)
        values = overrides.config_overrides  # these change no file
        overrides.config_overrides = []

        def make() -> Any:
            files = list_of(repo, config_name, overrides, **settings)
            return files, vars(overrides)

        try:
            files, changed = kept.get(f"{places} {config_name} {overrides} {settings}", make)
            vars(overrides).update(changed)
            return files
        finally:
            overrides.config_overrides = values

    def begin(repo: CachingConfigRepository, delegate: IConfigRepository) -> None:
        repo.delegate = copy(delegate)  # Hydra copies every config that Python has registered too
        repo.cache = {}

    def composed(
        loader: ConfigLoaderImpl, defaults: list[ResultDefault], repo: IConfigRepository
    ) -> DictConfig:
        places = places_of(repo)
        if not SHIPPED.issuperset(places):
            return compose(loader, defaults, repo)
        return kept.get(f"{places} {defaults}", lambda: compose(loader, defaults, repo))

    with pytest.MonkeyPatch.context() as patch:
        Plugins.instance()  # executes the modules of its sources anew: these classes are in use
        for scheme in ("file", "pkg"):
            source = SourcesRegistry.instance().resolve(scheme)
            patch.setattr(source, "load_config", read_once(source.load_config))
        patch.setattr(CachingConfigRepository, "__init__", begin)
        patch.setattr(defaults_list, "_create_defaults_list", listed)
        patch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", composed)
        yield
