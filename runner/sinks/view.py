"""Links into the MLflow UI that open on the runs table with chosen columns, or on the compare page.

The UI keeps a shared view in an experiment tag `mlflow.sharedViewState.<key>` and opens it when the address
of the runs page says `viewStateShareKey=<key>`. Neither is documented: both were read from the JavaScript
that MLflow 3.17 ships and are known to work for `WORKS_WITH` only, so ask `known` before writing the tag.
Under another version `runs_path` without a state still opens the runs table, with the columns of the UI.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from urllib.parse import quote

WORKS_WITH = "3.17"  # the MLflow release whose shared views were read and tried
TAG = "mlflow.sharedViewState."
QUERY = "workflowType=machine_learning"  # the runs of experiments, not the pages on language models
NAME = "Factor regressions"  # what the menu of saved views calls it
RUN_NAME, CREATED = "attributes.`Run Name`", "runDateAndNestInfo"  # pinned on the left by the UI
NARROWEST, LETTER, HEADER = 80, 7, 38  # pixels: of a column, of a letter, of the rest of a header


def known(version: str) -> bool:
    """Whether the shared views of this MLflow version are the ones written here."""
    return version.split(".")[:2] == WORKS_WITH.split(".")


def view_state(
    metrics: Sequence[str],
    params: Sequence[str],
    tags: Sequence[str],
    sort_by: str | None = None,
    where: str = "",
    lowest_first: bool = False,
) -> str:
    """The value of the tag: columns from left to right tags, params, metrics; largest `sort_by` metric first.

    `where` is a search filter as the UI takes it, such as "tags.kind = 'run'". Same arguments, same text.
    """
    shown = [*_columns("tags", tags), *_columns("params", params), *_columns("metrics", metrics)]
    state = {**_layout(shown), **_search(sort_by, where, lowest_first)}
    envelope = {"name": NAME, "createdAt": 0, "updatedAt": 0, "state": _dumps(state)}
    return _dumps(envelope)


def view_tag(state: str) -> str:
    """The name of the experiment tag that holds `state`; another state gets another tag."""
    return TAG + _key(state)


def runs_path(experiment_id: str, state: str | None = None) -> str:
    """The path that opens the runs table of an experiment, under the view `state` if its tag is set."""
    path = f"#/experiments/{experiment_id}/runs?{QUERY}"
    return f"{path}&viewStateShareKey={_key(state)}" if state else path


def compare_path(experiment_id: str, run_ids: Sequence[str]) -> str:
    """The path that opens the compare page of these runs."""
    runs, experiments = (quote(_dumps(list(ids))) for ids in (run_ids, [experiment_id]))
    return f"#/compare-runs?runs={runs}&experiments={experiments}&{QUERY}"


def artifact_path(experiment_id: str, run_id: str, artifact: str) -> str:
    """The path that opens one artifact of a run: a table written by log_table, a page, a picture."""
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{quote(artifact)}?{QUERY}"


def _columns(kind: str, names: Sequence[str]) -> list[str]:
    """The names by which the table knows its columns."""
    return [f"{kind}.`{name}`" for name in names]


def _layout(shown: Sequence[str]) -> dict[str, object]:
    """Which columns are visible, in which order and how wide."""
    widths = {RUN_NAME: 190, CREATED: 130, **{column: _width(column) for column in shown}}
    return {"selectedColumns": list(shown), "columnOrder": list(widths), "columnWidths": widths}


def _width(column: str) -> int:
    """Pixels that show the whole header of a column."""
    name = column.split("`")[1]
    return max(NARROWEST, LETTER * len(name) + HEADER)


def _search(sort_by: str | None, where: str, lowest_first: bool) -> dict[str, object]:
    """The filter and the sort order."""
    order = {"orderByKey": f"metrics.`{sort_by}`", "orderByAsc": lowest_first} if sort_by else {}
    return {"searchFilter": where, **order}


def _key(state: str) -> str:
    return sha256(state.encode()).hexdigest()[:16]


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
