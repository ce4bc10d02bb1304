"""From a node of a spec to the function or object that it names.

A node names its function or class by `_target_`; its other keys are bound against that signature.
Code is taken from this package or from modules that the spec allows by name, never from elsewhere.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, partial
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar, get_args

from runner.data.joins.settings import OfAnySource
from runner.errors import SpecError, unknown
from runner.features.asked import Named, by_choice, by_settings, grouped, together
from runner.models.model import REQUIRED, Model
from runner.names import present
from runner.schema.misfits import in_words, misfits
from runner.schema.protocols import completed
from runner.schema.settings import Asked, AskedFor

S = TypeVar("S")
P = TypeVar("P")
# First parameter of a function that a spec may name; a class has a method instead.
FUNCTIONS = ("market", "cross", "study")
MODEL_ROLE = "fit"  # the method by which a model is known
SOURCE_ROLE = "load"  # and a source of data
MISSING = "???"
ASKED = "asked"  # the setting of a source with the names that other parts of its spec ask for
SETTLING = ("columns", "groups", "macro")  # settings of a source that say what a name is
# keys of `data` beside the settings of its source
OF_ANY_SOURCE = tuple(setting.name for setting in fields(OfAnySource))


@dataclass(frozen=True)
class Builder:
    """Builds what nodes name, and gathers the mistakes of all of them.

    Attributes:
        allow: modules from which code may be taken, beside this package.
        mistakes: one line each, added to by every call.
        asked: what the parts name that may be columns of the data; added to by every call.
    """

    allow: Sequence[str]
    mistakes: list[str]
    asked: list[Named] = field(default_factory=list)

    def build(self, where: str, node: Any, role: str) -> Any:
        """The function of a node with its settings, or its object; None where it is wrong.

        Args:
            where: place of the node in the spec.
            role: first parameter of the function, or the method that the class must have.
        """
        if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
            self.mistakes.append(_no_target(where, node))
            return None
        try:
            target = resolve(node["_target_"], self.allow)
            _check_role(target, role)
            if role == MODEL_ROLE:
                target = completed(target, Model, REQUIRED)
        except ValueError as error:
            self.mistakes.append(f"{where}._target_: {error}")
            return None
        settings = {str(key): value for key, value in node.items() if key != "_target_"}
        if callable(getattr(target, "load", None)):  # a source, also where an analysis draws on it
            own = kinds_of(target)
            settings = without(settings, [name for name in OF_ANY_SOURCE if name not in own])
        self._build_nested(where, target, settings)
        problems = unbound(where, target, settings)
        for lines in problems.values():
            self.mistakes.extend(lines)
        if MISSING in settings.values() and role not in FUNCTIONS:
            return None  # what is not given yet cannot be judged beside the rest
        fitting = {key: value for key, value in settings.items() if key not in problems}
        if role != SOURCE_ROLE:
            every = {**defaults_of(target), **fitting}
            self.asked.extend(by_settings(every, kinds_of(target), role == "market"))
        return construct(where, target, fitting, self.mistakes, role, problems)

    def _build_nested(self, where: str, target: Any, settings: dict[str, Any]) -> None:
        """Replace nested nodes by what they name, where the signature asks for such an object."""
        for name, (_, kind) in _parameters(target).items():
            role = _role_of(kind)
            if role and isinstance(settings.get(name), dict):
                settings[name] = self.build(f"{where}.{name}", settings[name], role)


def asking(node: Any, asked: Mapping[AskedFor, Sequence[str]], allow: Sequence[str]) -> Any:
    """The node `data` with the names that the other parts of the spec ask for, as `asked`.

    A name that a setting of the source gives is that already, but not where the setting is
    borrowed, as the data may not have it. Of a source without `asked`, which has no table with
    further columns, the node is as it was. What chooses the rows of any source, its members and
    delisting returns, are columns by their own setting.
    """
    if not isinstance(node, Mapping) or not _takes_asked(node, allow):
        return node
    given = node.get(ASKED) or {}
    borrowed = node.get("borrowed") or []
    if any(misfits(given, Asked, ASKED)) or any(misfits(borrowed, list[str], "borrowed")):
        return node  # which is said where the node is read
    of_data = grouped(by_choice(node))
    settled: set[str] = set()
    for setting in SETTLING:
        names_here = node.get(setting)
        if isinstance(names_here, Mapping):
            settled.update(name for name in names_here if f"{setting}.{name}" not in borrowed)
    left: dict[AskedFor, list[str]] = {}
    for taken_for, names in together(given, asked, of_data).items():
        left[taken_for] = [name for name in names if name not in settled]
    names_left = together(left)
    if not names_left:
        return without(node, [ASKED])
    return {**node, ASKED: names_left}


def _takes_asked(node: Mapping[str, Any], allow: Sequence[str]) -> bool:
    """Whether the source of the node reads columns that other parts of the spec name."""
    try:
        return ASKED in kinds_of(resolve(str(node.get("_target_")), allow))
    except ValueError:
        return False


def source_of(node: Any, borrowed: Sequence[str], builder: Builder) -> Any:
    """The source that a node names; None where it is wrong, as the builder's mistakes then say."""
    if not borrowed or not isinstance(node, Mapping):
        return builder.build("data", node, SOURCE_ROLE)
    from runner.data.sources.borrowing import Borrowing

    tried = Builder(builder.allow, [])
    as_own = asking(without(node, ["borrowed"]), {}, builder.allow)
    whole = tried.build("data", as_own, SOURCE_ROLE)
    places = {line.partition(":")[0].removeprefix("data.") for line in tried.mistakes}
    if not places & set(borrowed):
        builder.mistakes.extend(tried.mistakes)
        if whole is None:
            return None
    else:
        whole = None  # the source has no such setting
    others = Builder(builder.allow, [])
    alone = others.build("data", _without_borrowed(node, borrowed), SOURCE_ROLE)
    if whole is None:
        builder.mistakes.extend(others.mistakes)
    return Borrowing(whole, alone, borrowed)


def _without_borrowed(node: Mapping[str, Any], borrowed: Sequence[str]) -> dict[str, Any]:
    """The node without these settings, and without these keys of its mappings."""
    rest: dict[str, Any] = {}
    for name, value in node.items():
        if name in borrowed:
            continue
        kept = value
        if isinstance(value, Mapping):
            kept = {key: value[key] for key in value if f"{name}.{key}" not in borrowed}
        rest[name] = kept
    return rest


def without(settings: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The settings but those of these names."""
    return {key: value for key, value in settings.items() if key not in names}


def class_of(
    where: str, node: Any, allow: Sequence[str], protocol: type[P], required: Sequence[str]
) -> tuple[type[P], dict[str, Any]]:
    """The class that a node names, with the null case of what it does not define; its settings.

    The class is not called: that may start workers.

    Args:
        where: place of the node in the spec.
        protocol: the class with the null cases; required: the methods without one.

    Raises:
        SpecError: it names no such class, or one that does not take the settings, one line each.
    """
    if not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str):
        raise SpecError(_no_target(where, node))
    try:
        target = completed(resolve(node["_target_"], allow), protocol, required)
    except ValueError as error:
        raise SpecError(f"{where}._target_: {error}") from None
    settings = without(node, ["_target_"])
    mistakes: list[str] = []
    for lines in unbound(where, target, settings).values():
        mistakes += lines
    if mistakes:
        raise SpecError(mistakes)
    return target, settings


def construct(
    where: str,
    target: Any,
    settings: dict[str, Any],
    mistakes: list[str],
    role: str,
    wrong: Collection[str] = (),
) -> Any:
    """The target with the settings that fit it; None where it refuses them.

    It is tried beside other mistakes of the node, so that all are found in one go.

    Args:
        wrong: settings that are mistaken already, and at their defaults here: what conflicts with
            these is not told.
    """
    if role in FUNCTIONS:
        return partial(target, **settings)
    try:
        return target(**settings)
    except TypeError as error:
        if not mistakes:  # else a setting that is needed did not fit, which is a mistake already
            mistakes.append(f"{where}: {error}")
        return None
    except ValueError as error:
        for line in str(error).splitlines():
            if not any(f" {key}=" in line for key in wrong):
                mistakes.append(f"{where}.{line}")
        return None


def as_settings(where: str, kind: type[S], given: Mapping[str, Any], mistakes: list[str]) -> S:
    """An object of this class of settings, all of which have defaults; wrong ones are left there.

    Args:
        where: place of the settings in the spec, empty at its top.
        mistakes: one line each; added to.
    """
    problems = unbound(where, kind, given)
    for lines in problems.values():
        mistakes += lines
    return kind(**without(given, list(problems)))


def unbound(where: str, target: Any, settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """By setting, the lines on why it does not bind to the signature of the target."""
    parameters = dict(_parameters(target))
    if not isinstance(target, type):
        first = next(iter(parameters))  # the market, the cross-section or the study
        parameters.pop(first)
    problems = {}
    for key in settings:
        if key not in parameters:
            place = _place(where, key)
            problems[key] = [f"{place}: {unknown(key, parameters, f'~{place} leaves it out')}"]
    for name, (parameter, kind) in parameters.items():
        place = _place(where, name)
        if name in settings and settings[name] != MISSING:
            problems[name] = list(misfits(settings[name], kind, place))
        elif name in settings or parameter.default is parameter.empty:
            problems[name] = [f"{place}: missing; allowed: {in_words(kind)}"]
    return {name: lines for name, lines in problems.items() if lines}


def _place(where: str, name: str) -> str:
    """The place of a setting in the spec; `where` is empty at its top."""
    return f"{where}.{name}" if where else name


def _no_target(where: str, node: Any) -> str:
    """The line on a node that names no function or class."""
    given = "nothing" if node is None else repr(node)
    allowed = "a mapping with _target_ and its settings"
    if where.startswith("features."):
        allowed += ", or text such as close / lag(close, 21) - 1"
    return f"{where}: given {given}; allowed: {allowed}"


def resolve(path: str, allow: Sequence[str]) -> Any:
    """The function or class at a dotted path inside this package or an allowed module.

    Raises:
        ValueError: a module that is not allowed or does not exist, a name that it does not define.
    """
    module, _, name = path.rpartition(".")
    module = present(module)
    roots = ("runner", *allow)
    if not _lies_in(module, roots):
        with_it = [*allow, module.partition(".")[0]]
        raise ValueError(
            f"{path!r} is code outside this package; allow=[{','.join(with_it)}] lets it run, "
            "if you trust it"
        )
    namespace = _imported(module)
    public = _public_names(namespace, roots)
    if name not in public:
        raise ValueError(f"{unknown(name, public)} (in {module})")
    return getattr(namespace, name)


def settings_of(node: Mapping[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function or class that a node of our configs names, and the type of each setting."""
    target = resolve(str(node["_target_"]), ())
    kinds = kinds_of(target)
    if not isinstance(target, type):
        first = next(iter(kinds))  # the market, the cross-section or the study
        kinds.pop(first)
    return target, kinds


def kinds_of(target: Callable[..., Any]) -> dict[str, Any]:
    """The type of each parameter of a function or class."""
    return {name: kind for name, (_, kind) in _parameters(target).items()}


def defaults_of(target: Callable[..., Any]) -> dict[str, Any]:
    """The value of each parameter that has one where it is not given."""
    parameters = {name: parameter for name, (parameter, _) in _parameters(target).items()}
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not parameter.empty
    }


def _lies_in(module: str, roots: Sequence[str]) -> bool:
    """Whether the module is one of the roots or below one."""
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def _public_names(namespace: ModuleType, roots: Sequence[str]) -> list[str]:
    """What a module gives to a spec: `__all__`, else its functions and classes of allowed code.

    A package may hand on what its modules define; what it imports from elsewhere is not its own.
    """
    names = vars(namespace)
    if "__all__" in names:
        return list(names["__all__"])
    public = []
    for name, value in names.items():
        origin = str(getattr(value, "__module__", ""))
        if callable(value) and not name.startswith("_") and _lies_in(origin, roots):
            public.append(name)
    return public


def _imported(module: str) -> ModuleType:
    """The module of this name.

    Raises:
        ValueError: it does not exist, or fails while it is imported.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(f"no module {error.name!r}") from error
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise ValueError(f"module {module!r} cannot be imported: {problem}") from error


def _check_role(target: Any, role: str) -> None:
    """Refuse a target that is no function of what the role names, or lacks its method.

    Raises:
        ValueError: it cannot stand at this place of the spec.
    """
    if role not in FUNCTIONS:
        if not callable(getattr(target, role, None)):
            raise ValueError(
                f"{target.__qualname__} has no method {role}; allowed here: a class that has"
            )
        return
    if isinstance(target, type) or [*_parameters(target)][:1] != [role]:
        raise ValueError(
            f"{target.__qualname__} is not a function of {role}; "
            f"allowed here: ({role}, *, settings)"
        )


def _role_of(kind: Any) -> str:
    """The method that an object of this annotation must have; empty for plain values."""
    for part in get_args(kind) or (kind,):
        if part is Model:
            return MODEL_ROLE
        if getattr(part, "_is_protocol", False):
            return next(name for name in vars(part) if not name.startswith("_"))
    return ""


def _parameters(target: Any) -> dict[str, tuple[inspect.Parameter, Any]]:
    """The parameters of a function or class by name, each with its annotation as a type."""
    if isinstance(target, Hashable):
        return _read(target)
    return _read.__wrapped__(target)


@cache
def _read(target: Any) -> dict[str, tuple[inspect.Parameter, Any]]:
    parameters = {}
    for name, parameter in inspect.signature(target).parameters.items():
        parameters[name] = (parameter, _kind(target, parameter))
    return parameters


def _kind(target: Any, parameter: inspect.Parameter) -> Any:
    """The annotation of a parameter as a type.

    One that needs a module not imported checks nothing.
    """
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        names = _names_around(target, parameter.name)
        return eval(annotation, names)  # noqa: S307 (our own source)
    except NameError:
        return Any


def _names_around(target: Any, parameter: str) -> dict[str, Any]:
    """The names of the module in which a parameter is annotated, which a base class may be in."""
    owner = target
    for base in getattr(target, "__mro__", ()):
        if parameter in vars(base).get("__annotations__", {}):
            owner = base
            break
    return vars(sys.modules[owner.__module__])
