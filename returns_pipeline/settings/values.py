"""Parsers of the settings that are neither plain text nor a number."""

import ipaddress
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationInfo

from returns_pipeline.errors import RefusedError
from returns_pipeline.public_hosts import AllowedHosts
from returns_pipeline.records.models import ReviewThreshold, WantedPrecision
from returns_pipeline.records.places import folder_of, is_object
from returns_pipeline.records.reviews import ReviewAction, ReviewOutcome

#: Folders and files that network drives, operating systems and phones put beside photos. Names that begin
#: with a dot are skipped without a pattern.
SKIP_PATTERNS = (
    *("@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information", "lost+found"),
    *("__MACOSX", ".AppleDouble", ".Trashes", "Thumbs.db", "ehthumbs.db", "desktop.ini", "*.aae", "*.xmp"),
)
_OUTCOME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PRECISION = "precision:"
_FEED = "feed:"
#: Addresses that proxies may have in all: more than any provider's, less than everyone's. IPv4, IPv6.
_MOST_PROXIES = {4: 2**28, 6: 2**122}
_TOO_MANY_PROXIES = (
    "should name only the proxies' own addresses: "
    "any other client that is trusted too could state a false address as its own"
)


def parse_threshold(value: Any) -> ReviewThreshold:
    """Return a threshold from a number, 0 to 1, or from `precision:NUMBER`, above 0 and at most 1.

    Raises ValueError for anything else.
    """
    if isinstance(value, WantedPrecision):
        value = str(value)
    wanted = isinstance(value, str) and value.startswith(_PRECISION)
    try:
        number = float(value.removeprefix(_PRECISION) if wanted else value)
    except (TypeError, ValueError):
        number = math.nan
    if not (0 < number <= 1 if wanted else 0 <= number <= 1):  # also false for NaN
        raise ValueError(
            "should be a probability, greater than or equal to 0 and less than or equal to 1, "
            "or a precision above 0 and at most 1, like precision:0.98"
        )
    return WantedPrecision(number) if wanted else number


def parse_patterns(value: Any) -> tuple[str, ...]:
    """Return the patterns of `PATTERN,PATTERN`. Parsed patterns stay unchanged.

    Raises ValueError for a pattern with a slash, or one that fits every name.
    """
    if not isinstance(value, str):
        return tuple(value)
    patterns = tuple(pattern for part in value.split(",") if (pattern := part.strip()))
    for pattern in patterns:
        if "/" in pattern:
            raise ValueError("should be patterns of names, without a slash")
        if not pattern.strip("*"):
            raise ValueError(f"should leave some names: {pattern} skips every photo")
    return patterns


def parse_outcomes(value: Any) -> tuple[str, ...]:
    """Return the outcomes of `NAME,NAME`. Parsed outcomes stay unchanged.

    Raises ValueError for a name that is not of lower-case letters, digits and underscores, or is taken.
    """
    if not isinstance(value, str):
        return tuple(value)
    names = tuple(name for part in value.split(",") if (name := part.strip()))
    for name in names:
        if not _OUTCOME.fullmatch(name):
            raise ValueError("should be names of lower-case letters, digits and underscores, at most 40")
        if name in set(ReviewOutcome) | set(ReviewAction):
            raise ValueError(f"should not name {name}, which has a meaning already")
    return names


def parse_folder(value: Any) -> Path:
    """Return an absolute path, or a folder of an object store. Raises ValueError for another URI."""
    return folder_of(str(value)).expanduser().absolute()


def parse_store(value: str) -> str:
    """Return a folder of an object store; empty if there is none. Raises ValueError for anything else."""
    if value and not is_object(value):
        raise ValueError("should be a folder of an object store, like s3://BUCKET/PREFIX")
    return str(folder_of(value)) if value else ""


class Intake(NamedTuple):
    """One intake folder and the model, NAME or NAME/VERSION, that classifies its photos.

    With a `feed`, the photos are fetched into the folder from the addresses that this file lists.
    """

    model: str
    folder: Path
    feed: Path | None = None

    @property
    def feed_name(self) -> str:
        """The name of the feed: that of its file without the ending."""
        return self.feed.stem if self.feed else ""

    def __str__(self) -> str:
        """Return `MODEL=FOLDER` or `MODEL=feed:FILE`, the form in the settings."""
        return f"{self.model}={_FEED}{self.feed}" if self.feed else f"{self.model}={self.folder}"


def parse_intakes(value: Any, info: ValidationInfo) -> tuple[Intake, ...]:
    """Return the intakes of `MODEL=FOLDER,MODEL=feed:FILE`, with absolute paths; parsed ones unchanged.

    The folder of a feed lies in FEED_DIR. Raises ValueError for another form, a model or a feed named twice,
    a folder inside another intake, or a feed's file inside an intake.
    """
    if not isinstance(value, str):
        return tuple(value)
    feed_dir = info.data.get("feed_dir", Path())
    found = [_intake(part, feed_dir) for part in value.split(",")] if value.strip() else []
    names = [intake.model.partition("/")[0] for intake in found]
    if len(set(names)) < len(names):
        raise ValueError("should name each model once")
    feeds = [intake.feed_name for intake in found if intake.feed]
    if len(set(feeds)) < len(feeds):
        raise ValueError("should name each feed once; its name is that of the file without the ending")
    folders = [intake.folder.resolve() for intake in found]
    for inner in (*folders, *(intake.feed.resolve() for intake in found if intake.feed)):
        if any(inner.is_relative_to(other) for other in folders if other is not inner):
            raise ValueError(f"should not have {inner} inside another intake")
    return tuple(found)


def _intake(text: str, feed_dir: Path) -> Intake:
    model, _, place = (piece.strip() for piece in text.partition("="))
    file = place.removeprefix(_FEED).strip()
    if not model or not file:
        raise ValueError("should be MODEL=FOLDER or MODEL=feed:FILE, or several of them separated by commas")
    # Absolute, because other processes may have another working directory.
    if not place.startswith(_FEED):
        return Intake(model, parse_folder(file))
    path = Path(file).expanduser().absolute()
    if not path.name.isprintable():
        raise ValueError("should name a feed whose file's name can be printed")
    return Intake(model, feed_dir / path.stem, path)


def parse_hosts(value: Any) -> tuple[str, ...]:
    """Return the hosts of `HOST,HOST:PORT`. Parsed hosts stay unchanged. Raises ValueError for other text."""
    if not isinstance(value, str):
        return tuple(value)
    names = tuple(name for part in value.split(",") if (name := part.strip()))
    try:
        AllowedHosts.parse(names)
    except RefusedError:
        raise ValueError("should be hosts, or hosts with a port, like localhost:8000") from None
    return names


def parse_proxies(value: Any) -> str:
    """Return the addresses and networks of `ADDRESS,NETWORK`, separated by commas.

    Raises ValueError for other text, and for proxies that together are a large part of all addresses: each
    client could then state any address as its own.
    """
    texts = [text for part in str(value).split(",") if (text := part.strip())]
    if "*" in texts:
        raise ValueError(_TOO_MANY_PROXIES)
    try:
        networks = [ipaddress.ip_network(text) for text in texts]
    except ValueError:
        raise ValueError(
            "should be addresses like 10.0.0.5 or networks like 10.0.0.0/24, separated by commas"
        ) from None
    shares: dict[int, list[Any]] = {4: [], 6: []}
    for network in networks:
        within = _ipv4_of(network)
        shares[within.version].append(within)
    for version, found in shares.items():
        addresses = sum(each.num_addresses for each in ipaddress.collapse_addresses(found))
        if addresses > _MOST_PROXIES[version] or any(each.network_address.is_unspecified for each in found):
            raise ValueError(_TOO_MANY_PROXIES)
    return ",".join(texts)


def _ipv4_of(network: Any) -> Any:
    """Return an IPv6 network of mapped IPv4 addresses, like ::ffff:10.0.0.0/104, as the IPv4 network."""
    mapped = ipaddress.IPv6Network("::ffff:0:0/96")
    if network.version == 4 or not network.subnet_of(mapped):
        return network
    return ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
