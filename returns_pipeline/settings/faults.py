"""What is wrong with a setting, in a sentence that names it, its value and what would be right."""

import difflib
import os
import re
from collections.abc import Mapping, Set
from typing import Any

from returns_pipeline.errors import ConfigFault


def refuse_unknown(prefix: str, known: Set[str]) -> None:
    """Raise ConfigFault for a variable of the environment that has the prefix and is no setting."""
    for name in sorted(os.environ):
        if name.startswith(prefix) and name not in known:
            raise ConfigFault(
                "{name}.",
                advice="Remove it from the environment; docs/settings.md lists every setting.",
                name=_not_a_setting(name, known),
            )


def explain(problem: Mapping[str, Any], prefix: str, known: Set[str]) -> str:
    """Return what is wrong, of one of Pydantic's problems; a password is not shown."""
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    name = prefix + str(problem["loc"][0]).removeprefix(prefix.lower()).upper()
    if problem["type"] == "extra_forbidden":
        return _not_a_setting(name, known)
    return f"{name}={_shown(name, problem['input'])}: {message[0].lower()}{message[1:]}"


def _not_a_setting(name: str, known: Set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"{name} is not a setting" + (f" (did you mean {close[0]}?)" if close else "")


def _shown(name: str, value: Any) -> str:
    """Return a wrong value as a message may show it: no password, and of a URL nothing but its scheme."""
    if name.endswith("_URL"):
        scheme = re.match(r"[a-z][a-z0-9+]{0,20}://", str(value))
        return repr(f"{scheme[0]}***") if scheme else "***"
    return "***" if "PASSWORD" in name or "SECRET" in name else repr(value)
