"""The class that a setting of a sweep means: one of ours by its name, or a user's by `_target_`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from runner.errors import SpecError, listed, unknown
from runner.experiment.nodes import class_of
from runner.experiment.spec import bound

P = TypeVar("P")


@dataclass(frozen=True)
class Entries(Generic[P]):
    """What a setting may name.

    Attributes:
        where: the setting, such as `sweep.search`.
        named: our classes by name.
        protocol: the class with the null cases; required: the methods without one.
    """

    where: str
    named: Mapping[str, type[P]]
    protocol: type[P]
    required: Sequence[str]

    def check(self, given: str | Mapping[str, Any], allow: Sequence[str]) -> type[P]:
        """The class, not called.

        Raises:
            SpecError: an unknown name; a class that lies in no allowed module, lacks a method, or
                does not take its settings; one line each.
        """
        return self._class_of(given, allow)[0]

    def made(self, given: str | Mapping[str, Any], allow: Sequence[str]) -> P:
        """A new object of the class with its settings.

        Raises:
            SpecError: as `check`; or the class refuses its settings.
        """
        target, settings = self._class_of(given, allow)
        made: P = bound(self.where, target, settings)
        return made

    def _class_of(
        self, given: str | Mapping[str, Any], allow: Sequence[str]
    ) -> tuple[type[P], dict[str, Any]]:
        """The class that a name or a node with `_target_` means, and its settings."""
        if isinstance(given, str):
            if given not in self.named:
                raise SpecError(f"{self.where}: {unknown(given, self.named)}")
            return self.named[given], {}
        if not isinstance(given.get("_target_"), str):
            raise SpecError(
                f"{self.where}: given {given}; "
                f"allowed: {listed(self.named)}, or a mapping with _target_ and its settings"
            )
        return class_of(self.where, given, allow, self.protocol, self.required)
