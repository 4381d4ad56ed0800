"""Messages about wrong settings: the name, the value without secrets, and the allowed values."""

import difflib
import os
import re
from collections.abc import Mapping, Set
from typing import Any

from returns_pipeline.errors import ConfigFault

#: Parts of the names of settings that hold passwords.
_SECRET_NAMES = ("PASSWORD", "SECRET", "WEBHOOKS", "APPRISE")


def refuse_unknown(prefix: str, known: Set[str]) -> None:
    """Raise ConfigFault if an environment variable has the prefix but is not a setting."""
    for name in sorted(os.environ):
        if name.startswith(prefix) and name not in known:
            raise ConfigFault(
                "{name}.",
                advice="Remove it from the environment; docs/settings.md lists every setting.",
                name=_not_a_setting(name, known),
            )


def explain(problem: Mapping[str, Any], prefix: str, known: Set[str]) -> str:
    """Return a sentence about one of Pydantic's errors, without secrets."""
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    name = prefix + str(problem["loc"][0]).removeprefix(prefix.lower()).upper()
    if problem["type"] == "extra_forbidden":
        return _not_a_setting(name, known)
    return f"{name}={_without_secrets(name, problem['input'])}: {message[0].lower()}{message[1:]}"


def _not_a_setting(name: str, known: Set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"{name} is not a setting" + (f" (did you mean {close[0]}?)" if close else "")


def _without_secrets(name: str, value: Any) -> str:
    """Return a wrong value without secrets: of a URL only the scheme, of a password nothing."""
    if name.endswith("_URL"):
        scheme = re.match(r"[a-z][a-z0-9+]{0,20}://", str(value))
        return repr(f"{scheme[0]}***") if scheme else "***"
    return "***" if any(word in name for word in _SECRET_NAMES) else repr(value)
