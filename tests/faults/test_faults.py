"""After every fault, inflicted on real processes, no file is lost and none is there twice."""

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.databases import migrated_database
from tests.faults.catalogue import FAULTS, Fault
from tests.faults.night import night

SEED = int(os.environ.get("SEED", "20261121"))
SCALE = 0.1

CASES = [
    pytest.param(
        fault, kind, place, id=f"{fault.inflict.__name__}-{kind}{'' if place == 'folder' else f'-{place}'}"
    )
    for fault in FAULTS
    for kind, place in fault.cases(quick=True)
]


# A thread sends the sweeps. Without them a run does not close, and its test would wait in vain.
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize(("fault", "kind", "place"), CASES)
def test_nothing_is_lost_and_nothing_is_double(fault: Fault, kind: str, place: str, request: Any) -> None:
    """Files, tables and reports agree with the files that came in, after any fault."""
    with tempfile.TemporaryDirectory(prefix="fault-") as name:
        folder = Path(name)
        server = partial(request.getfixturevalue, "postgres")
        store = request.getfixturevalue("s3") if place == "s3" else None
        with (
            migrated_database(kind, folder, server) as url,
            night(
                folder, url, SEED, SCALE, fault.has_sentinels, store, fault.has_twins, **fault.settings
            ) as tonight,
        ):
            assert fault.inflict(tonight) > 0
            found = tonight.audit()
    assert (found.lost, found.double, found.wrong) == (0, 0, [])
