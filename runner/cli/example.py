"""What an experiment says of its own data, where other data are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.default_element import GroupDefault

from runner.cli.overrides import key_of

if TYPE_CHECKING:
    from runner.cli.composition import Composer


def kept_of_example(composer: Composer, chosen: Mapping[str, str], words: Sequence[str]) -> str:
    """The sentence on settings of `data` that come from an experiment made for other data.

    Empty where there are none.

    Args:
        composer: of the spec.
        chosen: option of every group.
        words: the overrides; what they give is a person's own.
    """
    name = chosen.get("experiment", "none")
    loader: Any = composer.hydra.config_loader
    config = loader.repository.load_config(f"experiment/{name}")
    if config is None or not config.config.get("data"):
        return ""
    made_for = None
    for default in config.defaults_list:
        if isinstance(default, GroupDefault) and str(default.group).strip("/") == "data":
            made_for = default.value
    if made_for in (None, chosen.get("data")):
        return ""
    given = {key_of(word) for word in words}
    keys = [f"data.{key}" for key in config.config["data"]]
    kept = [key for key in keys if key not in given]
    if not kept:
        return ""
    return (
        f"experiment={name} was made for data={made_for} and sets {', '.join(kept)}; "
        "give your own, or null"
    )
