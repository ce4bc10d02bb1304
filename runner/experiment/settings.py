"""The top level of a spec: what stands beside the groups, checked once and read by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from runner.compute.executors.executor import REQUIRED, Executor
from runner.errors import SpecError, unknown
from runner.estimators.settings import RegressionSettings
from runner.experiment.nodes import as_settings, class_of, construct
from runner.schema.misfits import misfits
from runner.schema.regression_table import TableSettings
from runner.schema.settings import Count, ModuleName

S = TypeVar("S")
INLINE: Mapping[str, Any] = MappingProxyType({"_target_": "runner.compute.Inline"})
GROUPS = ("data", "features", "target", "model", "validation")
FULL: Literal["full"] = "full"  # a report with tests of the residuals, page and pictures
OFF: Literal["off"] = "off"  # no audit


@dataclass(frozen=True)
class Tracking:
    """Where runs are logged.

    Attributes:
        uri: address of the MLflow store; null: `outputs/mlflow.db`.
        experiment: name of the experiment in that store.
        timeout: seconds that a server has for one answer; null: MLFLOW_HTTP_REQUEST_TIMEOUT of the
            environment, else 15.
        retries: of a request without an answer; null: MLFLOW_HTTP_REQUEST_MAX_RETRIES, else 2.
    """

    uri: str | None = None
    experiment: str = "factor-runner"
    timeout: Count | None = None
    retries: Count | None = None


@dataclass(frozen=True)
class Settings:
    """What a spec says beside its groups.

    Attributes:
        name: of the spec, for people.
        allow: modules from which code may be taken, beside this package.
        preprocess: nodes of the steps of preprocessing, in their order.
        analyses: name of the table -> node of what is computed after the fit.
        audit: of look-ahead: stop the run at a leak, tag the run, or no audit.
        audit_seed: of what the audit draws; null: it follows from spec and data.
        executor: node of what runs the blocks of a panel, and the jobs of a sweep.
        report: full, or tables without tests of the residuals, page and pictures.
        ledger: file that counts the specs tried.
        table: how the regression table is laid out.
        tracking: where runs are logged.
    """

    name: str = "custom"
    allow: list[ModuleName] = field(default_factory=list)
    preprocess: list[dict[str, Any]] = field(default_factory=list)
    analyses: dict[str, Any] = field(default_factory=dict)
    audit: Literal["stop", "tag", "off"] = "stop"
    audit_seed: Count | None = None
    executor: dict[str, Any] = field(default_factory=lambda: dict(INLINE))
    report: Literal["full", "tables"] = FULL
    ledger: str = "outputs/ledger.db"
    table: TableSettings = field(default_factory=TableSettings)
    tracking: Tracking = field(default_factory=Tracking)


NONE: Mapping[str, Any] = MappingProxyType({})
NAMES = tuple(attribute.name for attribute in fields(Settings))
NESTED: dict[str, Any] = {"table": TableSettings, "tracking": Tracking}


def settings_of(spec: Mapping[str, Any], mistakes: list[str]) -> Settings:
    """The settings of a spec beside its groups, wrong ones left at their defaults.

    Args:
        mistakes: one line each, of wrong settings and of keys that a spec has not; added to.
    """
    known = [*NAMES, *GROUPS]
    mistakes += [f"{key}: {unknown(key, known)}" for key in spec if key not in known]
    given = {name: spec[name] for name in NAMES if name in spec}
    for name, kind in NESTED.items():
        if name in given:
            given[name] = nested(name, kind, given.pop(name), mistakes)
    settings = as_settings("", Settings, given, mistakes)
    mistakes += settings.table.mistakes
    try:
        executor_class(settings.executor, settings.allow)
    except SpecError as error:
        mistakes += error.mistakes
    return settings


def executor_class(
    node: Mapping[str, Any], allow: Sequence[str]
) -> tuple[type[Executor], dict[str, Any]]:
    """The class of an executor, and its settings, which can be had here.

    Raises:
        SpecError: one line for each reason why not.
    """
    target, settings = class_of("executor", node, allow, Executor, REQUIRED)
    target.check(settings)
    return target, settings


def executor_of(node: Mapping[str, Any], allow: Sequence[str]) -> Executor:
    """A new executor; workers that it starts end with its `with` block.

    Raises:
        SpecError: as `executor_class`; or the class refuses its settings.
    """
    target, settings = executor_class(node, allow)
    mistakes: list[str] = []
    executor: Executor = construct("executor", target, settings, mistakes, role="")
    if mistakes:
        raise SpecError(mistakes)
    return executor


def nested(name: str, kind: type[S], node: Any, mistakes: list[str]) -> S:
    """The settings of a node, wrong ones left at their defaults.

    Args:
        mistakes: one line each; added to.
    """
    problems = list(misfits(node, dict[str, Any], name))
    if problems:
        mistakes += problems
        return kind()
    return as_settings(name, kind, node, mistakes)


def table_settings(spec: Mapping[str, Any], given: Mapping[str, Any] = NONE) -> TableSettings:
    """How the regression table of a spec, or of a sweep that it is of, is laid out.

    Args:
        given: settings beside those of the spec, which come before them.

    Raises:
        SpecError: what is wrong with them, one line each.
    """
    mistakes: list[str] = []
    node = {**(spec.get("table") or {}), **given}
    settings = nested("table", TableSettings, node, mistakes)
    mistakes += settings.mistakes
    if mistakes:
        raise SpecError(mistakes)
    return settings


def unsuited(table: TableSettings, model: Any, features: Sequence[str]) -> list[str]:
    """What the settings `table` ask for that a regression with these features has not, a line each.

    What other models have is known once they are fitted.
    """
    if not isinstance(model, RegressionSettings):
        return []
    mistakes = []
    terms = model.terms(features)
    for number, name in enumerate(table.terms or ()):
        label, is_level, _ = name.partition(":")
        if name not in terms and not (is_level and label in model.dummies):
            mistakes.append(f"table.terms[{number}]: {unknown(name, terms)}")
    has_units = model.by not in (None, "date")
    asks = {"rows": table.rows, "columns": table.columns}
    for key, value in asks.items():
        if value == "asset" and not has_units:
            mistakes.append(
                f"table.{key}: asset given with model.by={model.by or 'null'}; "
                "allowed: with a regression per asset or group"
            )
    return mistakes


def with_defaults(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec, plain mappings, with the settings that it does not give at their defaults."""
    return {**asdict(Settings()), **spec}
