"""Files and folders that hold personal data or secrets: closed to other users, whatever the umask is.

A new one is its owner's alone: 0600 and 0700. Below a folder that an administrator has opened to a group,
and to no other users, the group has the same access.
"""

import contextlib
import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

from returns_pipeline.errors import ConfigFault


def make_private_folders(folders: Iterable[Path]) -> None:
    """Create folders with the mode 0700, and their parents by the umask; leave those that exist.

    A folder that cannot be created is left out: it is reported when it is used.
    """
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)


def make_folder(folder: str | Path) -> None:
    """Create a folder and its missing parents with 0700 and their parents' access of the group."""
    path = Path(folder)
    try:
        path.mkdir(mode=0o700)
    except FileNotFoundError:
        if path.parent.is_dir():  # a file system that takes no folders, like /proc
            raise
        make_folder(path.parent)
        make_folder(path)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        if shared := group_access(path.parent.stat()):
            # The bit that hands down the group is inherited, and stays.
            path.chmod(stat.S_IMODE(path.stat().st_mode) | shared)


def open_private(path: str, flags: int) -> int:
    """Open a file, and create it with 0600 and its folder's access of the group; an `opener` of `open`."""
    descriptor = os.open(path, flags, 0o600)
    if flags & os.O_CREAT and (shared := group_access(Path(path).parent.stat()) & 0o060):
        with contextlib.suppress(PermissionError):  # the file existed, and is another user's
            os.fchmod(descriptor, 0o600 | shared)
    return descriptor


def user_name() -> str:
    """Return the name of this process's user, or its number if it has none, as in many containers."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def denied(error: PermissionError) -> ConfigFault:
    """Return the fault of a file or folder that this process's user may not use."""
    return ConfigFault(
        "The user {user} may not use {path}: {reason}.",
        "`namei -l {path}` shows the owner and the permissions. To give it to this user: "
        "`chown -R {user} {path}`.",
        user=user_name(),
        path=os.path.abspath(error.filename) if error.filename else "a file",  # noqa: PTH100 - keeps links
        reason=error.strerror,
    )


def group_access(folder: os.stat_result) -> int:
    """Return the group's bits of a folder that others cannot use, else 0."""
    return 0 if folder.st_mode & 0o007 else folder.st_mode & 0o070
