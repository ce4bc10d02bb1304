"""The top level of a spec: what stands beside the groups, checked once and read by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from runner.errors import unknown
from runner.experiment.nodes import as_settings
from runner.schema.misfits import misfits
from runner.schema.settings import Count, ModuleName

GROUPS = ("data", "features", "target", "model", "validation")
FULL: Literal["full"] = "full"  # a report with tests of the residuals, page and pictures
OFF: Literal["off"] = "off"  # no audit


@dataclass(frozen=True)
class Tracking:
    """Where runs are logged.

    Attributes:
        uri: address of the MLflow store; null: `outputs/mlflow.db`.
        experiment: name of the experiment in that store.
    """

    uri: str | None = None
    experiment: str = "factor-runner"


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
        report: full, or tables without tests of the residuals, page and pictures.
        ledger: file that counts the specs tried.
        tracking: where runs are logged.
    """

    name: str = "custom"
    allow: list[ModuleName] = field(default_factory=list)
    preprocess: list[dict[str, Any]] = field(default_factory=list)
    analyses: dict[str, Any] = field(default_factory=dict)
    audit: Literal["stop", "tag", "off"] = "stop"
    audit_seed: Count | None = None
    report: Literal["full", "tables"] = FULL
    ledger: str = "outputs/ledger.db"
    tracking: Tracking = field(default_factory=Tracking)


NAMES = tuple(attribute.name for attribute in fields(Settings))


def settings_of(spec: Mapping[str, Any], mistakes: list[str]) -> Settings:
    """The settings of a spec beside its groups, wrong ones left at their defaults.

    Args:
        mistakes: one line each, of wrong settings and of keys that a spec has not; added to.
    """
    known = [*NAMES, *GROUPS]
    mistakes += [f"{key}: {unknown(key, known)}" for key in spec if key not in known]
    given = {name: spec[name] for name in NAMES if name in spec}
    if "tracking" in given:
        tracking = given.pop("tracking")
        problems = list(misfits(tracking, dict[str, Any], "tracking"))
        mistakes += problems
        if not problems:
            given["tracking"] = as_settings("tracking", Tracking, tracking, mistakes)
    return as_settings("", Settings, given, mistakes)


def with_defaults(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec, plain mappings, with the settings that it does not give at their defaults."""
    return {**asdict(Settings()), **spec}
