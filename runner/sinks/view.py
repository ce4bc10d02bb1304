"""Links into the MLflow UI, and the views of its runs page: columns, order, groups and charts.

The UI keeps a saved view in an experiment tag `mlflow.sharedViewState.<key>`, and previews it when
the address says `viewStateShareKey=<key>`. What a view holds is not documented: it was read from
the JavaScript that MLflow 3.17 ships and tried in a browser, so ask `known` before a view is
written. Under another version a link with facets alone (filter, order) still opens the runs in the
right order.
"""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, urlencode

WORKS_WITH = "3.17"  # the MLflow release whose saved views were read and tried
TAG = "mlflow.sharedViewState."
QUERY = "workflowType=machine_learning"  # the runs of experiments, not the pages on language models
KEY = re.compile(r"([0-9a-f]{20})-[a-z]+|newest")  # of a view of ours; the id is that of its sweep
DEFLATED = "deflate;"  # before the base64 of a compressed state, as the UI writes it
RUN_NAME, CREATED = "attributes.`Run Name`", "runDateAndNestInfo"  # pinned on the left by the UI
NAME_WIDTH, CREATED_WIDTH = (
    285,
    136,
)  # pixels: of a name of some 40 letters, and of "59 minutes ago"
NARROWEST, WIDEST, LETTER = 80, 220, 7  # pixels: of a column, and of a letter
HEADER, MARGIN = 38, 24  # pixels: of a header and of a cell beside their letters
DIGITS = 18  # letters of a metric: the UI shows every digit of a number
NEWEST = (
    "attributes.start_time",
    False,
)  # the order of the runs page as MLflow has it: newest first

Mode = Literal["TABLE", "CHART", "ARTIFACT"]


@dataclass(frozen=True)
class Section:
    """A section of the charts page: its heading, how many cards stand side by side, and the
    cards.
    """

    name: str
    columns: int
    cards: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class View:
    """What the runs page shows.

    Attributes:
        name: what the menu of saved views calls it.
        columns: from left to right, such as "params.`model`".
        where: a search filter as the UI takes it, such as "tags.role = 'job'"; empty for every run.
        order: the column that orders the runs and whether the smallest comes first.
        group_by: the parameter that the table is grouped by, empty for none.
        sections: of the charts page; none leaves the charts that MLflow makes by itself.
        removed: metrics without a card of their own, so that none is made for them.
        letters: of the longest value of a column, where it is known.
    """

    name: str
    columns: Sequence[str]
    where: str = ""
    order: tuple[str, bool] = NEWEST
    group_by: str = ""
    sections: Sequence[Section] = ()
    removed: Sequence[str] = ()
    letters: Mapping[str, int] = field(default_factory=dict)

    @property
    def facets(self) -> dict[str, Any]:
        """The part of the view that the address of the page can say: filter and order."""
        order, smallest_first = self.order
        return {"searchFilter": self.where, "orderByKey": order, "orderByAsc": smallest_first}

    @property
    def state(self) -> dict[str, Any]:
        """The whole view as the UI keeps it."""
        widths = {RUN_NAME: NAME_WIDTH, CREATED: CREATED_WIDTH}
        widths |= {column: _width(column, self._letters(column)) for column in self.columns}
        state = {**self.facets, "selectedColumns": list(self.columns), "columnOrder": list(widths)}
        state |= {
            "columnWidths": widths,
            "runsHiddenMode": "SHOW_ALL",
        }  # else charts show the first ten runs
        if self.group_by:
            key = {"mode": "param", "groupByData": self.group_by}
            state["groupBy"] = {"aggregateFunction": "average", "groupByKeys": [key]}
        if self.sections:
            state |= self._charts()
        return state

    def _letters(self, column: str) -> int:
        """Letters of the longest value of the column, 0 where that is not known."""
        if column.startswith("metrics."):
            return DIGITS
        return self.letters.get(column, 0)

    def _charts(self) -> dict[str, Any]:
        sections = [
            _section(f"section-{at}", section.name, section.columns)
            for at, section in enumerate(self.sections)
        ]
        cards = [
            {**card, "metricSectionId": f"section-{at}"}
            for at, section in enumerate(self.sections)
            for card in section.cards
        ]
        shown = {card["metricKey"] for card in cards if "metricKey" in card}
        gone = [
            {**bar(name), "deleted": True, "metricSectionId": ""}
            for name in self.removed
            if name not in shown
        ]
        numbered = [{**card, "uuid": f"card-{at}"} for at, card in enumerate([*cards, *gone])]
        return {
            "compareRunCharts": numbered,
            "compareRunSections": sections,
            "isAccordionReordered": True,
        }


def allowed(name: str) -> str:
    """The name of a metric or tag with an underscore for what MLflow allows in none."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)


def sweep_of(key: str) -> str:
    """The id of the sweep that a saved view of ours is of; empty for any other."""
    ours = KEY.fullmatch(key)
    return (ours[1] or "") if ours else ""


def known(version: str) -> bool:
    """Whether the saved views of this MLflow version are the ones written here."""
    numbers = version.split(".")
    release = numbers[:2]
    return release == WORKS_WITH.split(".")


def encoded(view: View, written: int) -> str:
    """The value of the experiment tag that holds the view, written at this time (milliseconds since
    1970).

    An envelope that can be read, with the compressed state in it: MLflow lists no view whose
    envelope is compressed.
    """
    text = _dumps(view.state)
    plain = text.encode()
    compressed = zlib.compress(plain, 9)
    packed = b64encode(compressed)
    state = DEFLATED + packed.decode("ascii")
    return _dumps({"name": view.name, "createdAt": written, "updatedAt": written, "state": state})


def decoded(tag: str) -> dict[str, Any]:
    """The state of the view in an experiment tag.

    Raises:
        ValueError: no view.
    """
    return _opened(tag)[1]


def same(tag: str, view: View) -> bool:
    """Whether the tag holds this view, whenever it was written."""
    try:
        kept = _opened(tag)
    except ValueError:
        return False
    text = _dumps(view.state)
    state = json.loads(text)
    return kept == (view.name, state)


def _opened(tag: str) -> tuple[str, dict[str, Any]]:
    """Name and state of the view in an experiment tag."""
    try:
        envelope = json.loads(tag)
        text = envelope["state"].removeprefix(DEFLATED)
        packed = b64decode(text, validate=True)
        state = json.loads(zlib.decompress(packed))
        return envelope["name"], dict(state)
    except (AttributeError, KeyError, TypeError, zlib.error) as error:
        raise ValueError(f"no view: {error}") from error


def shared_path(experiment: str, key: str, mode: Mode = "TABLE") -> str:
    """The path that previews a saved view: until a reload, and nothing of the person's own is
    changed.
    """
    return f"#/experiments/{experiment}/runs?{QUERY}&viewStateShareKey={key}&compareRunsMode={mode}"


def open_path(experiment: str, key: str, mode: Mode = "TABLE") -> str:
    """The path, on a server with our plug-in, that makes the saved view the person's own and shows
    it.
    """
    return f"open/{experiment}/{key}?mode={mode}"


def facets_path(experiment: str, facets: Mapping[str, Any], mode: Mode = "TABLE") -> str:
    """The path that opens the runs page with this filter and order, whatever columns the person
    had.
    """
    said = {"searchFilter": facets["searchFilter"], "orderByKey": facets["orderByKey"]}
    said |= {
        "orderByAsc": str(facets["orderByAsc"]).lower(),
        "startTime": "ALL",
        "lifecycleFilter": "Active",
    }
    query = f"{QUERY}&compareRunsMode={mode}&{urlencode(said, quote_via=quote)}"
    return f"#/experiments/{experiment}/runs?{query}"


def run_path(experiment: str, run_id: str) -> str:
    """The path that opens one run."""
    return f"#/experiments/{experiment}/runs/{run_id}?{QUERY}"


def compare_path(experiment: str, run_ids: Sequence[str]) -> str:
    """The path that opens the compare page of these runs."""
    run_list = _dumps(list(run_ids))
    runs = quote(run_list)
    experiment_list = _dumps([experiment])
    experiments = quote(experiment_list)
    return f"#/compare-runs?runs={runs}&experiments={experiments}&{QUERY}"


def artifact_path(experiment: str, run_id: str, artifact: str) -> str:
    """The path that opens one artifact of a run: a table written by log_table, a page, a
    picture.
    """
    path = quote(artifact)
    return f"#/experiments/{experiment}/runs/{run_id}/artifacts/{path}?{QUERY}"


def param(name: str) -> str:
    """The column of a parameter."""
    return f"params.`{name}`"


def tag(name: str) -> str:
    """The column of a tag."""
    return f"tags.`{name}`"


def metric(name: str) -> str:
    """The column of a metric."""
    return f"metrics.`{name}`"


def bar(name: str) -> dict[str, Any]:
    """A card with one bar a run."""
    return {**_card("BAR"), "metricKey": name}


def line(name: str) -> dict[str, Any]:
    """A card with one line a run, over the steps of the metric."""
    scales = {
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "xAxisKey": "step",
        "yAxisKey": "metric",
    }
    own = {"useGlobalXaxisKey": False, "useGlobalLineSmoothing": False, "lineSmoothness": 0}
    none = {
        "selectedXAxisMetricKey": "",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "range": {},
    }
    return {
        **_card("LINE"),
        "metricKey": name,
        "selectedMetricKeys": [name],
        **scales,
        **own,
        **none,
    }


def scatter(x: str, y: str) -> dict[str, Any]:
    """A card with one point a run, two metrics against each other."""
    across = {"key": x, "type": "METRIC"}
    up = {"key": y, "type": "METRIC"}
    return {**_card("SCATTER"), "xaxis": across, "yaxis": up}


def parallel(params: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    """A card with one path a run through axes of parameters and metrics."""
    chosen = {"selectedParams": list(params), "selectedMetrics": list(metrics), "showAllRuns": True}
    return {**_card("PARALLEL"), **chosen}


def _card(kind: str) -> dict[str, Any]:
    return {"type": kind, "runsCountToCompare": 100, "deleted": False, "isGenerated": False}


def _section(uuid: str, name: str, columns: int) -> dict[str, Any]:
    seen = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False}
    return {"uuid": uuid, "name": name, "columns": columns, **seen}


def _width(column: str, letters: int) -> int:
    """Pixels that show the whole header of a column, and its values where they are not too long."""
    parts = column.split("`")
    name = parts[1]
    header = LETTER * len(name) + HEADER
    width_of_letters = LETTER * letters
    values = width_of_letters + MARGIN
    width_of_values = min(values, WIDEST)
    return max(NARROWEST, header, width_of_values)


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


RANKED = (metric("rank"), True)  # the order of jobs: smallest rank first


def where(tags: Mapping[str, str]) -> str:
    """The filter that finds the jobs of the sweep with these tags."""
    named = [f"tags.`{key}` = '{value}'" for key, value in tags.items() if "'" not in value]
    return " and ".join([*named, "tags.role = 'job'"])


def facets_of(sweep: str) -> dict[str, Any]:
    """Filter and order of the jobs of the sweep with this id, where nothing else is known of it."""
    jobs = where({"sweep.id": sweep})
    return View("", [], jobs, RANKED).facets
