"""Files in a folder or in a bucket, as tests write, read and compare them."""

import hashlib
from collections import Counter
from pathlib import Path

import obstore

from returns_pipeline.photos.objects.stores import Address, listed, store_of
from returns_pipeline.records.places import folder_of, is_object


def write(path: Path, content: bytes) -> None:
    """Write a file, over one of this name."""
    if is_object(str(path)):
        bucket, key = Address.of(str(path))
        obstore.put(store_of(bucket), key, content)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read(place: Path | str) -> bytes | None:
    """Return the content of a file; None if there is none."""
    try:
        if is_object(str(place)):
            bucket, key = Address.of(str(place))
            return bytes(obstore.get(store_of(bucket), key).bytes())
        return Path(place).read_bytes()
    except FileNotFoundError:
        return None


def remove(path: Path) -> None:
    """Delete a file."""
    if is_object(str(path)):
        bucket, key = Address.of(str(path))
        obstore.delete(store_of(bucket), key)
    else:
        path.unlink()


def files(folder: Path) -> list[Path]:
    """Return the files below a folder."""
    if not is_object(str(folder)):
        return [path for path in folder.rglob("*") if path.is_file()]
    bucket, prefix = Address.of(str(folder))
    return [folder_of(f"{bucket}/{meta['path']}") for page in listed(bucket, prefix) for meta in page]


def digests(folder: Path) -> Counter[str]:
    """Return how often each content is below `folder`, by its digest."""
    contents = (read(path) for path in files(folder))
    return Counter(digest(content) for content in contents if content is not None)


def digest(content: bytes) -> str:
    """Return the digest of a content."""
    return hashlib.sha256(content).hexdigest()
