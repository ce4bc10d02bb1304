"""From a composed spec (plain mappings) to the parts that run, with every mistake found before any
data.

A node names its function or class by `_target_`; its other keys are bound against that signature.
Code is taken from this package or from modules that the spec allows by name, never from elsewhere.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from keyword import iskeyword
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, get_args

from runner.errors import SpecError, listed, unknown
from runner.models.model import Model, completed
from runner.names import present
from runner.schema.misfits import in_words, misfits
from runner.schema.settings import MOST_LOST, OWN, Count, RowsOf, UpToOne

if TYPE_CHECKING:
    from runner.data.market import Market
    from runner.models.study import Study
    from runner.panels.finding import Finding
    from runner.preprocessing.steps import Step

GROUPS = ("data", "features", "target", "model", "validation")
CHOSEN = (*GROUPS, "experiment")  # groups whose chosen option is a parameter of a run
TOP: dict[str, Any] = {
    "name": str,
    "allow": list[str],
    "tracking": dict[str, Any],
    "preprocess": list[dict[str, Any]],
    "analyses": dict[str, Any],
    "audit": Literal["stop", "tag", "off"],
    "audit_seed": Count | None,
    "report": Literal["full", "tables"],
    "ledger": str,
}
FUNCTIONS = (
    "market",
    "cross",
    "study",
)  # what a function of a spec may be a function of; a class has a method instead
MODEL_ROLE = "fit"  # the method by which a model is known
FULL = "full"  # a report with tests of the residuals, page and pictures
DEFAULTS: dict[str, Any] = {"name": "custom", "allow": [], "preprocess": [], "analyses": {}}
DEFAULTS |= {"audit": "stop", "audit_seed": None, "report": FULL, "ledger": "outputs/ledger.db"}
DEFAULTS |= {"tracking": {"uri": None, "experiment": "factor-runner"}}
TRACKING: dict[str, Any] = {"uri": str | None, "experiment": str}
MISSING = "???"
ALLOW_LOSS = "allow_loss"  # a key of `data` beside the settings of any source
TERMS = ("const", "target")  # what no feature may be called
# tables that every run writes, whose names no analysis may take
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
]
TABLES += ["series"]


@dataclass(frozen=True)
class Experiment:
    """The parts of a spec, ready to run; `spec` is what they were built from, by these `overrides`.

    Attributes:
        allow_loss: share of the values of a column of the data that the rules for values may blank.
        rows: in which cells the model is fitted and judged (see `runner.panels.rows`).
        chosen: the option of every group: a name for people, no part of what is run.
    """

    name: str
    source: Any
    features: dict[str, Callable[..., Any]]
    target: Callable[..., Any]
    model: Any
    splitter: Any
    spec: Mapping[str, Any]
    overrides: tuple[str, ...] = ()
    steps: Sequence[Step] = ()
    analyses: Mapping[str, Callable[[Study], Finding]] = field(default_factory=dict)
    allow_loss: float = MOST_LOST
    rows: RowsOf = OWN
    chosen: Mapping[str, str] = field(default_factory=dict)

    def market(self) -> Market:
        """The data of the source, whatever it is, as the rules for values let it in.

        Raises:
            DataError: what the source raises; rules blank more of a column than `allow_loss`.
        """
        from runner.data.rules import admitted

        return admitted(self.source.load(), self.allow_loss)


def build(
    spec: Mapping[str, Any],
    overrides: Sequence[str] = (),
    chosen: Mapping[str, str] = MappingProxyType({}),
) -> Experiment:
    """Check every node and build the experiment.

    Raises:
        SpecError: all mistakes of the spec, one line each.
    """
    spec = {**DEFAULTS, **spec}
    mistakes = _top_level(spec)
    allow = spec["allow"] if isinstance(spec["allow"], list) else []
    allow = [one for one in allow if isinstance(one, str)]
    make = partial(_make, allow=allow, mistakes=mistakes)
    source, allow_loss = (
        make("data", spec.get("data"), "load"),
        _allow_loss(spec.get("data"), mistakes),
    )
    features = _features(spec.get("features"), make, mistakes)
    target = make("target", spec.get("target"), "market")
    steps = _steps(spec["preprocess"], list(features), make, mistakes)
    model_node, rows = _rows(spec.get("model"), mistakes)
    model = make("model", model_node, MODEL_ROLE)
    splitter = make("validation", spec.get("validation"), "split")
    analyses = _analyses(spec["analyses"], make, mistakes)
    if model is not None:
        mistakes += [f"model.{line}" for line in model.mistakes(list(features))]
    if mistakes:
        raise SpecError(mistakes)
    spec["model"] = {**model_node, "rows": rows}
    name, words = str(spec["name"]), tuple(overrides)
    parts = (name, source, features, target, model, splitter, spec)
    return Experiment(*parts, words, steps, analyses, allow_loss, rows, dict(chosen))


def _rows(node: Any, mistakes: list[str]) -> tuple[Any, RowsOf]:
    """The node of the model without `rows`, which every model has, and which rows these are."""
    if not isinstance(node, Mapping):
        return node, OWN
    kind = node.get("rows") or OWN
    mistakes += misfits(kind, RowsOf, "model.rows")
    return {key: value for key, value in node.items() if key != "rows"}, kind


def chosen_options(choices: Mapping[str, Any]) -> dict[str, str]:
    """The chosen option of each group of a spec, out of those of all groups that the configs
    have.
    """
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
    wrong: list[str] = []
    problems = _unbound(where, target, settings)
    wrong += [line for lines in problems.values() for line in lines]
    made = _construct(
        where, target, {key: settings[key] for key in settings if key not in problems}, wrong, ""
    )
    if wrong:
        raise SpecError(wrong)
    return made


def without_secrets(node: Any) -> Any:
    """The same mappings, lists and texts with the user and password of any address in them struck
    out.
    """
    if isinstance(node, Mapping):
        return {key: without_secrets(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(without_secrets(value) for value in node)
    return (
        re.sub(r"://[^/@\s]+@", "://***@", node)
        if isinstance(node, str) and "://" in node
        else node
    )


def _top_level(spec: Mapping[str, Any]) -> list[str]:
    known = [*TOP, *GROUPS]
    mistakes = [f"{key}: {unknown(key, known)}" for key in spec if key not in known]
    for key, kind in TOP.items():
        mistakes += misfits(spec.get(key), kind, key)
    tracking = spec.get("tracking")
    if isinstance(tracking, dict):
        mistakes += [
            f"tracking.{key}: {unknown(key, TRACKING)}" for key in tracking if key not in TRACKING
        ]
        for key, kind in TRACKING.items():
            mistakes += misfits(tracking.get(key), kind, f"tracking.{key}")
    return mistakes


def _allow_loss(node: Any, mistakes: list[str]) -> float:
    """Share of the values of a column that the rules for values may blank."""
    share = node.get(ALLOW_LOSS, MOST_LOST) if isinstance(node, dict) else MOST_LOST
    wrong = list(misfits(share, UpToOne, f"data.{ALLOW_LOSS}"))
    mistakes += wrong
    return MOST_LOST if wrong else float(share)


def _features(
    node: Any, make: Callable[..., Any], mistakes: list[str]
) -> dict[str, Callable[..., Any]]:
    if not isinstance(node, dict):
        mistakes.append(f"features: given {node!r}; allowed: a mapping of column names to features")
        return {}
    found = {}
    for name, settings in node.items():
        if not isinstance(name, str) or not name.isidentifier() or iskeyword(name) or name in TERMS:
            mistakes.append(
                f"features.{name}: given {name!r}; allowed: letters, digits and _, not {listed(TERMS)}"
            )
        elif isinstance(settings, str) and settings != MISSING:
            found[name] = _expression(f"features.{name}", settings, mistakes)
        else:
            found[name] = make(f"features.{name}", settings, "market")
    return found


def _steps(
    nodes: Any, features: list[str], make: Callable[..., Any], mistakes: list[str]
) -> list[Step]:
    """The steps of preprocessing, in their order; `on` of a node names what it is for, features or
    the target.
    """
    from runner.preprocessing.steps import BACK, TARGET, Step

    found = []
    for number, node in enumerate(nodes if isinstance(nodes, list) else []):
        if isinstance(node, dict):
            where, on = f"preprocess[{number}]", node.get("on")
            problems = list(misfits(on, list[str] | None, f"{where}.on"))
            wrong = (
                [name for name in on or [] if name not in [*features, TARGET]]
                if not problems
                else []
            )
            mistakes += [
                *problems,
                *(f"{where}.on: {unknown(name, [*features, TARGET])}" for name in wrong),
            ]
            full = str(node.get("_target_"))
            if not problems and TARGET in (on or []) and full not in BACK:
                mistakes.append(
                    f"{where}.on: target given with {full}; allowed: with {listed(BACK)}"
                )
            function = make(
                where, {key: value for key, value in node.items() if key != "on"}, "cross"
            )
            found.append(Step(function, full.rpartition(".")[2], on, BACK.get(full)))
    return found


def _analyses(
    nodes: Any, make: Callable[..., Any], mistakes: list[str]
) -> dict[str, Callable[[Study], Finding]]:
    """What to compute after the fit, by the name of its table."""
    found = {}
    for name, node in nodes.items() if isinstance(nodes, dict) else ():
        if not re.fullmatch("[a-z][a-z0-9_]*", str(name)) or name in TABLES:
            taken = f", not {listed(TABLES)}"
            mistakes.append(
                f"analyses.{name}: given {name!r}; allowed: small letters, digits and _{taken}"
            )
        elif node is not None:  # null takes an analysis of the experiment away
            found[name] = make(f"analyses.{name}", node, "study")
    return found


def _expression(where: str, text: str, mistakes: list[str]) -> Any:
    """The feature that is written as text."""
    from runner.features.expressions import Expression

    try:
        return Expression(text)
    except ValueError as error:
        mistakes.append(f"{where}: {error}")
        return None


def _make(where: str, node: Any, role: str, allow: Sequence[str], mistakes: list[str]) -> Any:
    """What a node names: a function of what `role` says, or an object with the method that it
    says.
    """
    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        given = "nothing" if node is None else repr(node)
        text = (
            ", or text such as close / lag(close, 21) - 1" if where.startswith("features.") else ""
        )
        mistakes.append(
            f"{where}: given {given}; allowed: a mapping with _target_ and its settings{text}"
        )
        return None
    try:
        target = _resolve(node["_target_"], allow)
        _check_role(target, role)
        target = completed(target) if role == MODEL_ROLE else target
    except ValueError as error:
        mistakes.append(f"{where}._target_: {error}")
        return None
    settings = {str(key): value for key, value in node.items() if key != "_target_"}
    if callable(getattr(target, "load", None)):  # a source, also where an analysis draws from it
        settings.pop(ALLOW_LOSS, None)
    _nest(where, target, settings, allow, mistakes)
    problems = _unbound(where, target, settings)
    mistakes += [line for lines in problems.values() for line in lines]
    if MISSING in settings.values() and role not in FUNCTIONS:
        return None  # what is not given yet cannot be judged beside the rest
    fitting = {key: value for key, value in settings.items() if key not in problems}
    return _construct(where, target, fitting, mistakes, role)


def _nest(
    where: str, target: Any, settings: dict[str, Any], allow: Sequence[str], mistakes: list[str]
) -> None:
    """Put what a nested node names in its place, where the signature asks for a Splitter or a
    Model.
    """
    for name, (_, kind) in _parameters(target).items():
        role = _role_of(kind)
        if role and isinstance(settings.get(name), dict):
            settings[name] = _make(f"{where}.{name}", settings[name], role, allow, mistakes)


def _role_of(kind: Any) -> str:
    """The method by which a node is known where the signature asks for this kind; empty for plain
    values.
    """
    for part in get_args(kind) or (kind,):
        if part is Model:
            return MODEL_ROLE
        if getattr(part, "_is_protocol", False):
            return next(name for name in vars(part) if not name.startswith("_"))
    return ""


def _construct(
    where: str, target: Any, settings: dict[str, Any], mistakes: list[str], role: str
) -> Any:
    """The node with the settings that fit, so that what else is wrong with it is found in the same
    go.
    """
    if role in FUNCTIONS:
        return partial(target, **settings)
    try:
        return target(**settings)
    except TypeError as error:
        if not mistakes:  # else a setting that is needed did not fit, and that is said already
            mistakes.append(f"{where}: {error}")
        return None
    except ValueError as error:
        mistakes += [f"{where}.{line}" for line in str(error).splitlines()]
        return None


def _resolve(path: str, allow: Sequence[str]) -> Any:
    """The function or class at a dotted path inside this package or an allowed module.

    Raises:
        ValueError: a module that is not allowed or does not exist, a name that it does not define.
    """
    module, _, name = path.rpartition(".")
    module = present(module)
    roots = ("runner", *allow)
    if not _lies_in(module, roots):
        raise ValueError(
            f"{path!r} lies in no allowed module; allowed: runner, {listed(allow)} (add to: allow)"
        )
    try:
        namespace = import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(f"no module {error.name!r}") from error
    except Exception as error:
        raise ValueError(
            f"module {module!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    public = _public_names(namespace, roots)
    if name not in public:
        raise ValueError(f"{unknown(name, public)} (in {module})")
    return getattr(namespace, name)


def _lies_in(module: str, roots: Sequence[str]) -> bool:
    """Whether the module is one of the roots or below one."""
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def _public_names(namespace: ModuleType, roots: Sequence[str]) -> list[str]:
    """What a module gives to a spec: `__all__`, else its functions and classes from allowed code.

    A package may hand on what its own modules define; what it imports from elsewhere is not its own.
    """
    if hasattr(namespace, "__all__"):
        return list(namespace.__all__)
    return [
        name
        for name, value in vars(namespace).items()
        if not name.startswith("_")
        and callable(value)
        and _lies_in(str(getattr(value, "__module__", "")), roots)
    ]


def _check_role(target: Any, role: str) -> None:
    if role not in FUNCTIONS:
        if not callable(getattr(target, role, None)):
            raise ValueError(
                f"{target.__qualname__} has no method {role}; allowed here: a class that has"
            )
    elif isinstance(target, type) or [*_parameters(target)][:1] != [role]:
        raise ValueError(
            f"{target.__qualname__} is not a function of {role}; allowed here: ({role}, *, settings)"
        )


def _unbound(where: str, target: Any, settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """What keeps each setting from binding to the signature, lines by setting."""
    parameters = dict(_parameters(target))
    if not isinstance(target, type):
        parameters.pop(next(iter(parameters)))  # the market, the cross-section
    lines = {
        key: [f"{where}.{key}: {unknown(key, parameters)}"]
        for key in settings
        if key not in parameters
    }
    for name, (parameter, kind) in parameters.items():
        if name in settings and settings[name] != MISSING:
            lines[name] = list(misfits(settings[name], kind, f"{where}.{name}"))
        elif name in settings or parameter.default is parameter.empty:
            lines[name] = [f"{where}.{name}: missing; allowed: {in_words(kind)}"]
    return {name: found for name, found in lines.items() if found}


def _parameters(target: Any) -> dict[str, tuple[inspect.Parameter, Any]]:
    """The parameters of a function or class by name, each with its annotation as a type."""
    return _read(target) if isinstance(target, Hashable) else _read.__wrapped__(target)


@cache
def _read(target: Any) -> dict[str, tuple[inspect.Parameter, Any]]:
    return {
        name: (one, _kind(target, one))
        for name, one in inspect.signature(target).parameters.items()
    }


def _kind(target: Any, parameter: inspect.Parameter) -> Any:
    """The annotation of a parameter as a type; one that needs a module not imported checks
    nothing.
    """
    if not isinstance(parameter.annotation, str):
        return Any if parameter.annotation is parameter.empty else parameter.annotation
    try:
        return eval(parameter.annotation, vars(sys.modules[target.__module__]))  # noqa: S307 (our own source)
    except NameError:
        return Any
