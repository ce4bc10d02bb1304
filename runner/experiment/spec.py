"""From a composed spec (plain mappings) to the parts that run.

Every mistake of a spec is found before any data is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from keyword import iskeyword
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.data.joins.settings import ROLES, Joined, OfAnySource
from runner.errors import SpecError, listed, unknown
from runner.experiment.nodes import (
    ASKED,
    MISSING,
    MODEL_ROLE,
    OF_ANY_SOURCE,
    Builder,
    as_settings,
    asking,
    construct,
    source_of,
    unbound,
    without,
)
from runner.experiment.settings import GROUPS, Settings, settings_of, unsuited, with_defaults
from runner.features.asked import by_text, grouped
from runner.schema.misfits import misfits
from runner.schema.settings import MOST_LOST, OWN, RowsOf

if TYPE_CHECKING:
    from runner.data.market import Market
    from runner.data.sources.source import Source
    from runner.models.model import Model
    from runner.models.study import Study
    from runner.panels.finding import Finding
    from runner.preprocessing.applying import Step
    from runner.validation.splitters import Splitter

CHOSEN = (*GROUPS, "experiment")  # groups whose chosen option is a parameter of a run
TERMS = ("const", "target")  # what no feature may be called
# Tables that every run writes, whose names no analysis may take.
TABLES = [
    "coefficients",
    "quality",
    "hypotheses",
    "diagnostics",
    "folds",
    "scores",
    "dropped",
    "metrics",
    "audit",
    "series",
]


@dataclass(frozen=True)
class Data:
    """What a spec reads.

    Attributes:
        name: of the spec.
        source: gives the market.
        allow_loss: share of the values of a column that the rules for values may blank.
        tables: what is joined to the table of assets, in the order of the spec.
        delisting: the field of delisting returns, which enter the returns; None: there is none.
        members: the label that the assets of a panel have on each date; None: all assets.
    """

    name: str
    source: Source
    allow_loss: float
    tables: Sequence[Joined] = ()
    delisting: str | None = None
    members: str | None = None

    def market(self) -> Market:
        """The data of the source with the tables joined to it, as the rules for values let it in.

        Raises:
            DataError: what the source raises; a table that cannot be joined; rules blank more of a
                column than `allow_loss`.
        """
        from runner.data.rules import admitted

        market = self.source.load()
        if self.tables:
            from runner.data.joins.join import joined

            market = joined(market, self.tables)
        if self.members is not None:
            market = market.of_members(self.members)
        if self.delisting is None:
            return admitted(market, self.allow_loss)
        from runner.data.delisting import as_return, with_delisting

        lawful = admitted(as_return(market, self.delisting), self.allow_loss)
        return with_delisting(lawful, self.delisting)


@dataclass(frozen=True)
class Experiment:
    """The parts of a spec, ready to run.

    Attributes:
        settings: what the spec says beside its groups.
        spec, overrides: what the parts were built from, plain mappings that are written, logged and
            compared between jobs, and what the command line changed in them.
        allow_loss: share of the values of a column of the data that the rules for values may blank.
        rows: in which cells the model is fitted and judged (see `runner.panels.rows`).
        chosen: the option of every group: a name for people, no part of what is run.
        tables: what is joined to the table of assets, in the order of the spec.
        delisting: the field of delisting returns, which enter the returns; None: there is none.
        members: the label that the assets of a panel have on each date; None: all assets.
        of_target: fields and series that the target names.
        own_data: the node `data` of the spec without what only other jobs of a sweep name of it.
    """

    settings: Settings
    source: Source
    features: dict[str, Callable[..., Any]]
    target: Callable[..., Any]
    model: Model
    splitter: Splitter
    spec: Mapping[str, Any]
    overrides: tuple[str, ...] = ()
    steps: Sequence[Step] = ()
    analyses: Mapping[str, Callable[[Study], Finding]] = field(default_factory=dict)
    allow_loss: float = MOST_LOST
    rows: RowsOf = OWN
    chosen: Mapping[str, str] = field(default_factory=dict)
    tables: Sequence[Joined] = ()
    delisting: str | None = None
    members: str | None = None
    of_target: Collection[str] = ()
    own_data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the spec, for people."""
        return self.settings.name

    def market(self) -> Market:
        """The data of the source with the tables joined to it, as the rules for values let it in.

        Raises:
            DataError: what the source raises; a table that cannot be joined; rules blank more of a
                column than `allow_loss`.
        """
        beside = (self.allow_loss, self.tables, self.delisting, self.members)
        return Data(self.name, self.source, *beside).market()


def build_data(spec: Mapping[str, Any]) -> Data:
    """Check the node `data` of a spec, and what stands beside the groups; the others may be wrong.

    Raises:
        SpecError: their mistakes, one line each.
    """
    mistakes: list[str] = []
    settings = settings_of(spec, mistakes)
    others = Builder(settings.allow, [])
    _parts(spec, settings, others)
    node = asking(spec.get("data"), grouped(others.asked), settings.allow)
    beside = _beside_source(node, mistakes)
    source = source_of(node, beside.borrowed, Builder(settings.allow, mistakes))
    tables = _tables(beside, mistakes)
    if mistakes:
        raise SpecError(_said_once(mistakes))
    return Data(settings.name, source, beside.allow_loss, tables, beside.delisting, beside.members)


class Parts(NamedTuple):
    """What a spec says beside its data; of a wrong one nothing or a part."""

    features: dict[str, Callable[..., Any]]
    target: Any
    of_target: Collection[str]
    steps: Sequence[Step]
    model: Any
    rows: RowsOf
    splitter: Any
    analyses: Mapping[str, Callable[[Study], Finding]]


def _parts(spec: Mapping[str, Any], settings: Settings, builder: Builder) -> Parts:
    """Every part but the data, checked; mistakes and names of data are gathered by the builder."""
    features = _features(spec.get("features"), builder)
    already = len(builder.asked)
    target = builder.build("target", spec.get("target"), "market")
    of_target = {named.name for named in builder.asked[already:]}
    steps = _steps(settings.preprocess, list(features), builder)
    model_node, rows = _rows(spec.get("model"), builder.mistakes)
    model = builder.build("model", model_node, MODEL_ROLE)
    splitter = builder.build("validation", spec.get("validation"), "split")
    analyses = _analyses(settings.analyses, builder)
    if model is not None:
        builder.mistakes.extend(f"model.{line}" for line in model.mistakes(list(features)))
        builder.mistakes.extend(unsuited(settings.table, model, list(features)))
    return Parts(features, target, of_target, steps, model, rows, splitter, analyses)


def build(
    spec: Mapping[str, Any],
    overrides: Sequence[str] = (),
    chosen: Mapping[str, str] = MappingProxyType({}),
) -> Experiment:
    """Check every node and build the experiment.

    Raises:
        SpecError: all mistakes of the spec, one line each.
    """
    mistakes: list[str] = []
    settings = settings_of(spec, mistakes)
    others = Builder(settings.allow, [])
    parts = _parts(spec, settings, others)
    data_node = asking(spec.get("data"), grouped(others.asked), settings.allow)
    beside = _beside_source(data_node, mistakes)
    source = source_of(data_node, beside.borrowed, Builder(settings.allow, mistakes))
    tables = _tables(beside, mistakes)
    mistakes += others.mistakes
    if mistakes:
        raise SpecError(_said_once(mistakes))
    whole = {
        **with_defaults(spec),
        "data": data_node,
        "model": {**spec["model"], "rows": parts.rows},
    }
    return Experiment(
        settings=settings,
        source=source,
        features=parts.features,
        target=parts.target,
        model=parts.model,
        splitter=parts.splitter,
        spec=whole,
        overrides=tuple(overrides),
        steps=parts.steps,
        analyses=parts.analyses,
        allow_loss=beside.allow_loss,
        rows=parts.rows,
        chosen=dict(chosen),
        tables=tables,
        delisting=beside.delisting,
        members=beside.members,
        of_target=parts.of_target,
        own_data=asking(without(spec["data"], [ASKED]), grouped(others.asked), settings.allow),
    )


def _said_once(mistakes: Sequence[str]) -> list[str]:
    """Each mistake once, without those of features that take a wrong setting from the target."""
    of_target = {line.removeprefix("target.") for line in mistakes if line.startswith("target.")}
    once = []
    for line in dict.fromkeys(mistakes):
        where, _, rest = line.partition(": ")
        setting = where.rpartition(".")[2]
        taken = where.startswith("features.") and f"{setting}: {rest}" in of_target
        if not taken:
            once.append(line)
    return once


def _rows(node: Any, mistakes: list[str]) -> tuple[Any, RowsOf]:
    """The node of the model without `rows`, which every model has, and which rows these are."""
    if not isinstance(node, Mapping):
        return node, OWN
    rows = node.get("rows") or OWN
    mistakes += misfits(rows, RowsOf, "model.rows")
    rest = {key: value for key, value in node.items() if key != "rows"}
    return rest, rows


def chosen_options(choices: Mapping[str, Any]) -> dict[str, str]:
    """The chosen option of each group of a spec, out of those of all groups of the configs."""
    return {group: str(choices[group]) for group in CHOSEN if choices.get(group) is not None}


def mistakes(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """What `build` refuses of the spec, one line each."""
    try:
        build(spec)
    except SpecError as error:
        return error.mistakes
    return ()


def bound(where: str, target: Any, settings: Mapping[str, Any]) -> Any:
    """`target` called with settings that fit its signature.

    Raises:
        SpecError: those that do not, one line each.
    """
    problems = unbound(where, target, settings)
    mistakes: list[str] = []
    for lines in problems.values():
        mistakes += lines
    fitting = {key: settings[key] for key in settings if key not in problems}
    value = construct(where, target, fitting, mistakes, role="", wrong=problems)
    if mistakes:
        raise SpecError(mistakes)
    return value


def _beside_source(node: Any, mistakes: list[str]) -> OfAnySource:
    """The settings of `data` that any source has, wrong ones left at their defaults."""
    if not isinstance(node, Mapping):
        return OfAnySource()
    given = {key: node[key] for key in OF_ANY_SOURCE if key in node}
    return as_settings("data", OfAnySource, given, mistakes)


def _tables(beside: OfAnySource, mistakes: list[str]) -> list[Joined]:
    """The tables to join: fields, series, labels, each in the order of the spec."""
    tables = []
    for role, kind in ROLES.items():
        for name, settings in getattr(beside, role).items():
            where = f"data.{role}.{name}"
            try:
                tables.append(Joined(where, bound(where, kind, settings)))
            except SpecError as error:
                mistakes += error.mistakes
    return tables


def _features(node: Any, builder: Builder) -> dict[str, Callable[..., Any]]:
    """The function of each feature by its name."""
    if not isinstance(node, dict):
        builder.mistakes.append(
            f"features: given {node!r}; allowed: a mapping of column names to features"
        )
        return {}
    features = {}
    for name, settings in node.items():
        where = f"features.{name}"
        if not _is_column_name(name):
            builder.mistakes.append(
                f"{where}: given {name!r}; allowed: letters, digits and _, not {listed(TERMS)}"
            )
        elif isinstance(settings, str) and settings != MISSING:
            features[name] = _expression(where, settings, builder.mistakes)
            builder.asked.extend(by_text(settings))
        else:
            features[name] = builder.build(where, settings, "market")
    return features


def _is_column_name(name: Any) -> bool:
    if not isinstance(name, str) or name in TERMS:
        return False
    return name.isidentifier() and not iskeyword(name)


def _expression(where: str, text: str, mistakes: list[str]) -> Any:
    """The feature that is written as text."""
    from runner.features.expressions import Expression

    try:
        return Expression(text)
    except ValueError as error:
        mistakes.append(f"{where}: {error}")
        return None


def _steps(nodes: Any, features: list[str], builder: Builder) -> list[Step]:
    """The steps of preprocessing, in their order."""
    steps: list[Step] = []
    if not isinstance(nodes, list):
        return steps
    for number, node in enumerate(nodes):
        if isinstance(node, dict):
            steps.append(_step(f"preprocess[{number}]", node, features, builder))
    return steps


def _step(where: str, node: Mapping[str, Any], features: list[str], builder: Builder) -> Step:
    """One step; `on` of its node names the columns that it is for, features or the target."""
    from runner import preprocessing
    from runner.preprocessing.applying import TARGET, Step
    from runner.preprocessing.traits import traits_of, with_back

    on = node.get("on")
    problems = list(misfits(on, list[str] | None, f"{where}.on"))
    builder.mistakes.extend(problems)
    columns = on or []
    if problems:
        columns = []
    allowed = [*features, TARGET]
    for name in columns:
        if name not in allowed:
            builder.mistakes.append(f"{where}.on: {unknown(name, allowed)}")
    settings = {key: value for key, value in node.items() if key != "on"}
    function = builder.build(where, settings, "cross")
    path = str(node.get("_target_"))
    if function is not None and TARGET in columns and traits_of(function).back is None:
        ours = [getattr(preprocessing, step) for step in preprocessing.STEPS]
        builder.mistakes.append(
            f"{where}.on: target given with {path}; allowed: with {listed(with_back(ours))} "
            "(steps that declare `back`)"
        )
    name = path.rpartition(".")[2]
    return Step(function, name, on)


def _analyses(nodes: Any, builder: Builder) -> dict[str, Callable[[Study], Finding]]:
    """What to compute after the fit, by the name of its table."""
    analyses: dict[str, Callable[[Study], Finding]] = {}
    if not isinstance(nodes, dict):
        return analyses
    for name, node in nodes.items():
        where = f"analyses.{name}"
        if not re.fullmatch("[a-z][a-z0-9_]*", str(name)) or name in TABLES:
            builder.mistakes.append(
                f"{where}: given {name!r}; "
                f"allowed: small letters, digits and _, not {listed(TABLES)}"
            )
        elif node is not None:  # null takes an analysis of the experiment away
            analyses[name] = builder.build(where, node, "study")
    return analyses
