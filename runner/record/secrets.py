"""What may be secret in a spec: kept of no run, and in no message.

Secret may be user and password of an address, parameters of its query such as token and
signature, and the value of an environment variable that a spec names by `${oc.env:NAME}`. In what
is kept `***` stands for the first two, and the interpolation itself for the third.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote

STRUCK = "***"
# what a spec has for the value of an environment variable, with its name
VARIABLE = re.compile(r"\$\{oc\.env:([^\s{}$,:]+)\}")
# of an address the user and the password, which may hold any letter; or the user alone
USER = re.compile(r"://(?:(?:(?!\$\{)[^\s/?#:@])*:(?P<password>\S*)|(?P<user>[^\s/?#]*))@")
# a parameter of a query whose value may be a secret, up to it, and the value
SECRET = re.compile(
    r"([?&#;][^=&\s]*(?:token|key|sig|secret|pass|pwd|auth|cred|access|session|jwt|code)[^=&\s]*=)"
    r"(?!\$\{oc\.env:[^\s{}$,:]+\}(?:[&#\s'\"]|$))[^&#\s'\"]+",
    re.IGNORECASE,
)
LEAST = 4  # letters of a value from which on it is struck out of sentences
PRIVATE = 0o600  # the mode of a file that its owner alone reads
_named: set[str] = set()  # variables whose values stand in specs of this process


class Hidden(str):
    """A text of a spec with values of environment variables in it.

    Attributes:
        kept: the same with `${oc.env:NAME}` for each value, as it is written down.
    """

    kept: str
    __slots__ = ("kept",)

    def __new__(cls, text: str, kept: str) -> Self:
        hidden = super().__new__(cls, text)
        hidden.kept = kept
        names = VARIABLE.findall(kept)
        _named.update(names)
        return hidden

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return str(self), self.kept


def without_secrets(node: Any) -> Any:
    """The same node, plain mappings, lists and texts, as it may be kept."""
    if isinstance(node, Mapping):
        return {key: without_secrets(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(without_secrets(value) for value in node)
    if isinstance(node, Hidden):
        return without_passwords(node.kept)
    return without_passwords(node)


def without_passwords(node: Any) -> Any:
    """The same node without what may be secret in the addresses of its texts.

    Values of environment variables stay: other values can give other numbers.
    """
    if isinstance(node, Mapping):
        return {key: without_passwords(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(without_passwords(value) for value in node)
    if isinstance(node, str) and "://" in node:
        return SECRET.sub(rf"\1{STRUCK}", USER.sub(_without_user, node))
    return node


def _without_user(user: re.Match[str]) -> str:
    """User and password of an address struck out, unless they are variables, which tell nothing."""
    secret = user["password"] or user["user"] or user[0]
    if VARIABLE.fullmatch(secret):
        return user[0]
    return f"://{STRUCK}@"


def said(node: Any) -> Any:
    """Sentences, in lists and mappings too, as they may be read: without any secret in them."""
    if isinstance(node, Mapping):
        return {key: said(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(said(value) for value in node)
    if not isinstance(node, str):
        return node
    text = str(without_secrets(node))
    return without_values(text)


def without_values(text: str) -> str:
    """A text with the names of environment variables for their values, where specs name them."""
    for name in sorted(_named):
        value = os.environ.get(name, "")
        if len(value) >= LEAST:
            for spelling in (value, quote(value), quote(value, ""), unquote(value), escape(value)):
                text = text.replace(spelling, f"${{oc.env:{name}}}")
    return text


def places(node: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """The dotted place of each text that was kept without a secret, and the text.

    The place of a text in a list is that of the list.
    """
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from places(value, f"{where}.{key}" if where else str(key))
    elif isinstance(node, list | tuple):
        for value in node:
            yield from places(value, where)
    elif isinstance(node, Hidden):
        if _is_struck(node):
            yield where, node.kept
    elif isinstance(node, str) and is_kept_without(node):
        yield where, node


def is_kept_without(text: str) -> bool:
    """Whether a secret is missing in the text, which was kept."""
    return _is_struck(text) or bool(VARIABLE.search(text))


def _is_struck(address: str) -> bool:
    return "://" in address and STRUCK in address


def missing(where: str, kept: str) -> str:
    """The line on a text of a spec that was kept without a secret, and how it is given again."""
    names = list(dict.fromkeys(VARIABLE.findall(kept)))
    if _is_struck(kept):
        return (
            f"{where}: {kept!r} was kept without what may be secret in its address ({STRUCK}); "
            f"allowed: {where}=... with it, as ${{oc.env:NAME}} where other processes need it too"
        )
    names_text = " and ".join(names)
    variables = f"the environment variable {names_text}"
    return f"{where}: was kept without the value of {variables}; allowed: {where}='{kept}' again"


def refilled(node: Any, own: Any, named: Collection[str], where: str = "") -> Any:
    """A kept node with its secrets, of this environment, or of a spec that an override changed.

    Args:
        own: what the spec of this command line has at the same place.
        named: places that its overrides name; there own values count.
        where: the place of the node.
    """
    if isinstance(node, str):
        if not is_kept_without(node):
            return node
        return own if where in named else _from_environment(node)
    if isinstance(node, Mapping):
        filled = {}
        for key, value in node.items():
            place = f"{where}.{key}" if where else str(key)
            beside = own.get(key) if isinstance(own, Mapping) else None
            filled[key] = refilled(value, beside, named, place)
        return filled
    if isinstance(node, list | tuple):
        if where in named and any(places(node)):
            return own
        return type(node)(refilled(value, None, (), where) for value in node)
    return node


def _from_environment(kept: str) -> str:
    """The text with the values of its environment variables; as it was where one is not set."""
    names = VARIABLE.findall(kept)
    if not names or any(name not in os.environ for name in names):
        return kept
    text = VARIABLE.sub(lambda variable: os.environ[variable[1]], kept)
    return Hidden(text, kept)


def write_kept(path: Path, text: str) -> None:
    """Write a text that was kept without secrets: where some are missing, for its owner alone."""
    mode = PRIVATE if is_kept_without(text) else 0o666  # less what the person's mask takes
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(opened, "w", encoding="utf-8") as file:
        file.write(text)
