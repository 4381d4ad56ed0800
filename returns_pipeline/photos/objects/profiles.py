"""Credentials of a profile: `~/.aws/credentials` and `~/.aws/config`, as other programs of S3 read them.

https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html. Keys and the token of a session are read.
Roles that a profile takes, and single sign-on, are not supported.
"""

import configparser
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from returns_pipeline.errors import ConfigFault

if TYPE_CHECKING:
    from obstore.store import S3Credential  # the module has it for type checkers only

#: The files are read again after this long: what renews credentials writes them there.
_SECONDS = 30
_KEYS = ("aws_access_key_id", "aws_secret_access_key")


class ProfileCredentials:
    """Gives the credentials of one profile to a store, which asks again when they have expired."""

    def __init__(self, name: str) -> None:
        """Prepare; the files are read when credentials are asked for."""
        self._name = name

    def __call__(self) -> "S3Credential":
        """Return the credentials that the files have now. Raises ConfigFault if the profile has none."""
        found = read_profile(self._name)
        if any(key not in found for key in _KEYS):
            raise ConfigFault(
                "The profile {profile} of S3 has no keys.",
                "Write aws_access_key_id and aws_secret_access_key of this profile into the file of "
                "credentials; single sign-on and roles of a profile are not supported.",
                profile=self._name,
            )
        return {
            "access_key_id": found["aws_access_key_id"],
            "secret_access_key": found["aws_secret_access_key"],
            "token": found.get("aws_session_token") or None,
            "expires_at": datetime.now(UTC) + timedelta(seconds=_SECONDS),
        }


def options() -> dict[str, Any]:
    """Return what a store of S3 is opened with because of a profile; nothing if none is to be used.

    Keys in the environment come first. A profile that AWS_PROFILE names must exist; without that variable
    the profile `default` is used if it has keys. Raises ConfigFault.
    """
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    named = os.environ.get("AWS_PROFILE")
    name = named or "default"
    found = read_profile(name)
    if not named and any(key not in found for key in _KEYS):
        return {}
    given: dict[str, Any] = {"credential_provider": ProfileCredentials(name)}
    given["credential_provider"]()
    for option, key, variables in (
        ("region", "region", ("AWS_REGION", "AWS_DEFAULT_REGION")),
        ("endpoint", "endpoint_url", ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")),
    ):
        if key in found and not any(variable in os.environ for variable in variables):
            given[option] = found[key]
    return given


def read_profile(name: str) -> Mapping[str, str]:
    """Return the values of a profile; those of the file of credentials come first. Empty if there is none.

    Raises ConfigFault for a file that cannot be read.
    """
    found: dict[str, str] = {}
    for variable, default, section in (
        ("AWS_CONFIG_FILE", "~/.aws/config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", name),
    ):
        path = Path(os.environ.get(variable) or default).expanduser()
        parser = configparser.ConfigParser(interpolation=None, default_section="\0")
        try:
            parser.read_string(path.read_text("utf-8"), str(path))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            raise ConfigFault(
                "The file {path} of S3's profiles cannot be read: {reason}.",
                "Correct it, or remove it and set the variables of the store.",
                path=path,
                reason=getattr(error, "strerror", None) or str(error).partition("\n")[0].rstrip("."),
            ) from error
        if parser.has_section(section):
            found |= dict(parser.items(section))
    return found
