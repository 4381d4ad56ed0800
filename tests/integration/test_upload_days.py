"""The run that uploads go into: remembered between requests, and still the right one."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.images import FoundFile
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.uploads import AcceptedUpload, Upload
from returns_pipeline.store import tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import models
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.upload_days import UploadDays
from returns_pipeline.usecases.uploads import accept, clean_up, write_spool
from tests.support import Installation, write_stub_bundle


def spooled(context: Context, name: str) -> list[FoundFile]:
    """Return the files of a request with one picture, in the spool."""
    return write_spool(context, [(name, b"picture")])


def accepted(context: Context, days: UploadDays, name: str) -> AcceptedUpload:
    """Accept a request with one picture."""
    (found,) = accept(context, [Upload(spooled(context, name))], days)
    assert isinstance(found, AcceptedUpload)
    return found


def test_a_promotion_counts_for_the_next_request(home: Installation) -> None:
    """Each request belongs to the run of the version that is active when it arrives, there and back."""
    context, _ = home.in_process()
    days = UploadDays()
    first = [accepted(context, days, f"{at}.png") for at in range(2)]
    write_stub_bundle(home.settings.models_dir, version=2, side=4)
    for version in (2, 1):
        models.promote(home.settings, home.database, f"stub/{version}", who="ada", force=True)
        latest = accepted(context, days, f"of-{version}.png")
        assert latest.model == ModelRef("stub", version)
        assert (latest.run_id == first[0].run_id) is (version == 1)
    assert {one.run_id for one in first} == {latest.run_id}


def test_a_bundle_that_was_replaced_is_read_again(home: Installation) -> None:
    """A bundle with other labels under the same version is refused, although the old one is remembered."""
    context, _ = home.in_process()
    days = UploadDays()
    accepted(context, days, "a.png")
    manifest = home.settings.models_dir / "stub" / "1" / "bundle.json"
    manifest.write_text(manifest.read_text().replace('"white"', '"light"'), encoding="utf-8")
    with pytest.raises(ConfigFault, match="sha256 differs"):
        accepted(context, days, "b.png")


def test_a_run_whose_day_has_ended_is_not_used_again(home: Installation) -> None:
    """After midnight the run of yesterday takes no more images, and a new one does."""
    context, _ = home.in_process()
    days = UploadDays()
    first = accepted(context, days, "a.png")
    with home.database.write() as connection:
        # Yesterday's run: another request id, opened a day earlier.
        connection.execute(
            sa.update(tables.runs).values(request_id="api-before", opened_at=utc_now() - timedelta(days=1))
        )
    clean_up(context, utc_now())
    assert accepted(context, days, "b.png").run_id != first.run_id
