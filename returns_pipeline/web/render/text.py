"""Text of the world outside, as it can be shown and sent."""

import re

_URL = re.compile(r"\b[a-z][a-z0-9+]*://\S+")
_PATH = re.compile(r"(?<![\w./])/(?:[^\s/,;:'\"()]+/)+([^\s/,;:'\"()]*)")


def pathless(text: str) -> str:
    """Return text without the addresses and folders of this server: of a path only its last part."""
    return _PATH.sub(r"\1", _URL.sub("…", text))
