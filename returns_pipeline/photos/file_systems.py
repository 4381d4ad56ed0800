"""Which file system a folder lies on, as text that is the same after a reboot. Device numbers are not."""

import os
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")


def file_system_of(folder: str, mounts: Path = _MOUNTS) -> str:
    """Return type and source of a folder's file system, like `nfs4 nas:/photos`; empty if unknown.

    The fields are those of `/proc/PID/mountinfo`, see proc_pid_mountinfo(5). A source that is mounted from a
    folder inside its file system is followed by that folder.
    """
    place = os.path.realpath(folder)
    found, longest = "", 0
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kind) < 2:
            continue
        point = _unescaped(fields[4])
        is_above = place == point or place.startswith(point.rstrip("/") + "/")
        # Of two mounts on one folder, the later one covers the other.
        if is_above and len(point) >= longest:
            longest = len(point)
            inside = "" if fields[3] == "/" else f" {fields[3]}"
            found = f"{kind[0]} {kind[1]}{inside}"
    return os.fsencode(found).decode("utf-8", "backslashreplace")


def _unescaped(field: str) -> str:
    r"""Return a path in which blanks and backslashes are written as `\NNN`, octal."""
    if "\\" not in field:
        return field
    head, *parts = field.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in parts)
