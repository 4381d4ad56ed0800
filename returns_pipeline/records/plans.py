"""Plans: what a night of many photos needs, and the costs of one photo from which that follows."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class CostSource(StrEnum):
    """Where the processor time of a photo is from.

    `measured`: on this machine, for this plan. `nights`: the last night of the model in this database.
    `shipped`: measured for this release on another machine.
    """

    MEASURED = "measured"
    NIGHTS = "nights"
    SHIPPED = "shipped"


class PhotoCosts(NamedTuple):
    """What one photo costs each part.

    `stages_ms` are milliseconds of a worker's core by stage, `other_ms` those outside of a stage: claims,
    messages. `control_ms` are those of the worker for scans and reports, `compare_ms` those of the comparison
    with earlier photos, which follows the night. `chunk` is the number of photos of a chunk. `photo_bytes` is
    the size of a file, `row_bytes` that of all its rows and index entries, `compared_bytes` what later photos
    are compared by, while it is kept. `wal_bytes` and `database_ms` are PostgreSQL's log and processor time.
    """

    source: CostSource
    stages_ms: Mapping[str, float]
    other_ms: float
    control_ms: float
    compare_ms: float
    chunk: int
    photo_bytes: int
    row_bytes: int
    compared_bytes: int
    wal_bytes: int
    database_ms: float
    redis_bytes_of_chunk: int
    object_requests: float

    @property
    def worker_ms(self) -> float:
        """Milliseconds of a core that a photo takes in the workers for images."""
        return sum(self.stages_ms.values()) + self.other_ms


class Demand(NamedTuple):
    """What is asked for: so many photos in so many hours.

    `cores` is how many cores the workers have; None: as many as are needed. `machine_cores` is the number of
    cores of a machine. `keep_days` and `keep_rows_days` are how long photos and rows are kept; 0: for ever,
    counted for a year. `reuse_days` is how far back photos are compared.
    """

    photos: int
    hours: float
    cores: float | None = None
    machine_cores: int = 16
    keep_days: int = 0
    keep_rows_days: int = 0
    reuse_days: int = 90
    uses_objects: bool = False


class Prices(NamedTuple):
    """Prices that the user gives, in any currency.

    `core` is that of an hour of a core, `gb` of a GB of storage for a month, `requests` of a million requests
    to an object store.
    """

    core: float = 0.0
    gb: float = 0.0
    requests: float = 0.0


class Money(NamedTuple):
    """Money for a month of 30 nights."""

    workers: float
    storage: float
    requests: float

    @property
    def total(self) -> float:
        """The sum."""
        return self.workers + self.storage + self.requests


class Plan(NamedTuple):
    """What a night needs. Sizes are in GB of 10**9 bytes.

    `core_hours` is the work of the workers for images. `cores` do it in the wanted time, and `processes` with
    a reserve; `machines` have them. `hours` is how long the night lasts with the cores that were given or
    computed. `scan_hours` and `compare_hours` are those of one process; `compare_processes`
    compare the photos in the time of a night. `database_cores` is the load of the database during the night,
    `wal_gb` its log of one night.
    """

    core_hours: float
    cores: float
    processes: int
    machines: int
    hours: float
    scan_hours: float
    compare_hours: float
    compare_processes: int
    chunks: int
    redis_mb: float
    database_cores: float
    wal_gb: float
    database_gb_of_night: float
    database_gb: float
    photos_gb_of_night: float
    photos_gb: float
    object_requests: int
    money: Money
