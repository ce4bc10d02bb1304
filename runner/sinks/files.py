"""The tables of a report as files: the run directory that scripts and people may rely on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from runner.estimators.few_clusters import doubt_of, few_clusters
from runner.experiment.reading import reading
from runner.experiment.report import Report
from runner.experiment.series import series_of
from runner.experiment.wording import target_text
from runner.panels.rows import digest_of
from runner.record.csvfile import write_table
from runner.record.processor import processor
from runner.record.secrets import said, write_kept
from runner.record.version import source_commit


def write(report: Report, directory: Path) -> None:
    """spec.yaml, metrics.json, run.json and the tables of the report, in `directory`."""
    spec = yaml.dump(
        dict(report.spec), Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True
    )
    metrics = json.dumps(report.metrics, indent=1, allow_nan=False)
    texts = {
        "spec.yaml": spec,
        "metrics.json": metrics,
        "run.json": json.dumps(said(about(report)), indent=1),
        "coefficients.json": _comparable(report.fit.coefficients),
    }
    for name, text in texts.items():
        path = directory / name
        write_kept(path, text)
    for name, table in tables(report).items():
        write_table(table, directory / f"{name}.csv")
    seldom_repeat = {"y", "prediction"}
    report.predictions.to_parquet(
        directory / "predictions.parquet",
        index=False,
        use_dictionary=[name for name in report.predictions if name not in seldom_repeat],
        # the first and the last of the names would take as long as all columns
        write_statistics=[name for name in report.predictions if name != "asset"],
    )
    if report.influence.contributions is not None:
        report.influence.contributions.to_parquet(directory / "influence.parquet")
    wealth = _wealth(report)
    if wealth is not None:
        wealth.to_parquet(directory / "wealth.parquet", index=False)


def _wealth(report: Report) -> pd.DataFrame | None:
    """Columns strategy, date and wealth of the strategies of the run; None where it has none."""
    wealth = {}
    for name, finding in report.findings.items():
        if finding.wealth is not None:
            wealth[name] = finding.wealth
    if not wealth:
        return None
    stacked = pd.concat(wealth, names=["strategy", "date"])
    return stacked.rename("wealth").reset_index()


def tables(report: Report) -> dict[str, pd.DataFrame]:
    """The tables that are written as CSV, by name."""
    by_name = {
        "coefficients": report.fit.coefficients,
        "quality": report.fit.quality,
        "hypotheses": report.fit.hypotheses,
        "diagnostics": report.diagnostics,
        "folds": report.folds,
        "scores": report.scores,
        "dropped": pd.DataFrame(report.dropped, columns=["what", "reason", "rows"]),
        "series": series_of(report),
    }
    if report.audit is not None:
        by_name["audit"] = report.audit.table
    for name, finding in report.findings.items():
        by_name[name] = finding.table
    return by_name


def about(report: Report) -> dict[str, object]:
    """What the run was: its kind, data, code and conventions, and its reading."""
    return {**_asked(report), **_made_from(report), **_judged(report)}


def _asked(report: Report) -> dict[str, object]:
    """The spec of the run, in short."""
    return {
        "name": report.name,
        "overrides": list(report.overrides),
        "chosen": dict(report.chosen),
        "kind": report.kind,
        "model": _of(report.spec["model"]),
        "validation": _of(report.spec["validation"]),
    }


def _made_from(report: Report) -> dict[str, object]:
    """Its data and its code, and when it ran."""
    now = datetime.now(UTC)
    return {
        "source": report.source,
        "fingerprint": report.fingerprint,
        "sample": report.sample,
        "code": report.code,
        "commit": source_commit(),
        "processor": processor(),
        "horizon": report.panel.horizon,
        "calendar": report.panel.calendar.words,
        "job": report.key,
        "started": report.started.isoformat(timespec="milliseconds"),
        "finished": now.isoformat(timespec="milliseconds"),
    }


def _judged(report: Report) -> dict[str, object]:
    """The conventions of its numbers, and what they say."""
    doubts = {term: reason for term, reason in report.influence.doubts.items() if reason}
    few = few_clusters(report.fit.quality)
    return {
        "rows": _rows(report),
        "target": target_text(report),
        "errors": report.fit.errors,
        "doubts": doubts,
        "few_clusters": few.words if few else "",
        "doubt": doubt_of(report.fit.quality),
        "no_influence": report.influence.reason,
        "benchmark": f"oos/r2 is against the {report.benchmark}",
        "trains_on_later_rows": report.trains_on_later_rows,
        "leaks": report.leaks,
        "notes": list(report.panel.notes),
        "reading": reading(report),
    }


def _rows(report: Report) -> dict[str, object] | None:
    """Which cells (date x asset) the model was fitted and judged on, and how many each kind has."""
    rows = report.rows
    if rows is None:
        return None
    return {
        "kind": rows.kind,
        "used": rows.used,
        "own": rows.own,
        "common": rows.common,
        "lacking": dict(rows.lacking),
        "digest": digest_of(report.panel),
    }


def _of(node: Mapping[str, Any]) -> str:
    """The class that a node names, for people."""
    target = str(node["_target_"])
    return target.rpartition(".")[2]


def _comparable(coefficients: pd.DataFrame) -> str:
    """The table as MLflow's artifact view compares it over runs.

    It matches rows by their first column, and shows the values of the second.
    """
    key = coefficients["term"]
    units = coefficients["unit"].nunique()
    if units > 1:
        unit_and_space = coefficients["unit"] + " "
        key = unit_and_space + key
    names = ["scope", "unit", "term"]
    table = coefficients.drop(columns=names)
    table.insert(0, "term", key)
    return str(table.to_json(orient="split", index=False, double_precision=15))
