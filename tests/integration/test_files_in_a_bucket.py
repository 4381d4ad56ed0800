"""Files that are no photos of an intake, in a bucket: reports, models, the spool and downloads."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import structlog

from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.classify.publishing import publish
from returns_pipeline.errors import ConfigFault, ConflictError, TransientFault
from returns_pipeline.host.backup import back_up
from returns_pipeline.host.restore import restore
from returns_pipeline.photos.objects import files, profiles
from returns_pipeline.photos.objects.stores import store_of
from returns_pipeline.photos.sources import Sources
from returns_pipeline.records.places import folder_of
from returns_pipeline.records.removal import StoredFile
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.store import backups, images, runs
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import model_store, models, uploads
from returns_pipeline.usecases.runs import scan
from returns_pipeline.usecases.sweep import sweep
from tests import places
from tests.objects import contents, use
from tests.s3_proxy import Faults, proxy
from tests.support import Installation, sent, write_images, write_stub_bundle
from tests.web import Site, site

SHIPPED = PROJECT_ROOT / "models" / "fashion-mnist" / "1"


def _installed(home: Installation, **values: Any) -> Installation:
    return replace(home, settings=home.settings.model_copy(update=values))


def _night(home: Installation, request: str) -> int:
    context, queue = home.in_process()
    run_id = scan(context, request)
    queue.deliver(context)
    return run_id


def test_a_report_is_written_into_the_bucket(sqlite_home: Installation, bucket: str) -> None:
    """Both files are whole, name each photo, and the run knows where they are and what its requests cost."""
    home = _installed(
        sqlite_home,
        report_dir=folder_of(f"{bucket}/reports"),
        archive_dir=folder_of(f"{bucket}/archive"),
    )
    write_images(home.settings.incoming_dir, 12)
    run_id = _night(home, "night")
    kept = contents(bucket, f"reports/run-{run_id}")
    assert kept.keys() == {f"reports/run-{run_id}/{name}" for name in ("results.csv", "report.html")}
    assert len(kept[f"reports/run-{run_id}/results.csv"].splitlines()) == 13
    # The page finds the photos of its own bucket.
    assert b'src="../../archive/' in kept[f"reports/run-{run_id}/report.html"]
    run = runs.existing(home.database, run_id)
    assert str(run.report) == f"{bucket}/reports/run-{run_id}/report.html"
    # A photo is written, and looked at when it is there.
    assert run.requests is not None
    assert 2 * 12 <= run.requests <= 3 * 12
    shown = home.run("runs", "show", str(run_id))
    assert f"{run.requests} requests to the object store, 2." in shown.stdout, shown.stdout


def test_photos_over_http_wait_in_the_bucket(sqlite_home: Installation, bucket: str, tmp_path: Path) -> None:
    """The web writes into the spool's bucket, and a worker reads there and moves into the archive."""
    home = _installed(
        sqlite_home,
        spool_dir=folder_of(f"{bucket}/spool"),
        archive_dir=folder_of(f"{bucket}/archive"),
    )
    photos = write_images(tmp_path / "drawn", 3)
    context, queue = home.in_process()
    found = uploads.write_spool(context, [(path.name, path.read_bytes()) for path in photos])
    assert len(contents(bucket, "spool")) == 3
    accepted = sent(context, found)
    queue.deliver(context)
    assert {each.state for each in images.results(home.database, accepted.run_id)} == {"classified"}
    assert sorted(contents(bucket).values()) == sorted(path.read_bytes() for path in photos)
    assert all(key.startswith("archive/") for key in contents(bucket))
    assert not (home.settings.home / "spool").exists()


@pytest.fixture(params=["stream", "presigned"])
def here(request: Any, tmp_path: Path, bucket: str) -> Iterator[Site]:
    """Run the web of an installation whose photos and reports are in a bucket."""
    inside = {f"{name}_dir": f"{bucket}/{name}" for name in ("archive", "quarantine", "report", "spool")}
    with site(tmp_path, with_workers=False, object_links=request.param, **inside) as found:
        yield found


def test_the_web_gives_what_is_in_the_bucket(here: Site) -> None:
    """A report and an original arrive unchanged, streamed or by an address that needs no credentials."""
    (photo,) = write_images(here.home.settings.incoming_dir, 1)
    content = photo.read_bytes()
    run_id = _night(here.home, "night")
    (image,) = images.results(here.home.database, run_id)
    links = here.home.settings.object_links
    for path, kept in (
        (
            f"/runs/{run_id}/report/file",
            places.read(str(here.home.settings.report_dir / f"run-{run_id}/report.html")),
        ),
        (f"/api/v1/images/{image.id}/original", content),
    ):
        answer = here.ask("GET", path, allow_redirects=False)
        assert answer.status_code == (200 if links == "stream" else 307), answer.text
        if links == "presigned":
            assert "no-store" in answer.headers["Cache-Control"]
            assert "Signature" in urlsplit(answer.headers["Location"]).query
            answer = requests.get(answer.headers["Location"], timeout=30)
        assert answer.content == kept
    # Shown in a page, a photo comes through the web: another site's pictures are not allowed there.
    assert here.ask("GET", f"/api/v1/images/{image.id}/original?inline=true").content == content
    assert "to the object store" in here.page(f"/runs/{run_id}").text
    assert here.ask("GET", f"/api/v1/runs/{run_id}").json()["requests"] > 0
    archived = str(image.archived_path)
    stored = StoredFile(1, archived, archived.rpartition("/")[0], len(content), "", None)
    Sources().remove_originals([stored._replace(identity=Sources().describe(archived).identity)])
    assert here.ask("GET", f"/api/v1/images/{image.id}/original").status_code == 404


def _machine(home: Installation, bucket: str, name: str) -> Installation:
    """Return the installation as another machine has it: with its own copy of the models."""
    folder = home.settings.home.parent / name
    model_store.forget()
    return _installed(home, models_store=f"{bucket}/models", models_dir=folder)


def test_models_are_shared_by_a_bucket(sqlite_home: Installation, bucket: str, tmp_path: Path) -> None:
    """What one machine registers, another classifies with; promote and rollback work on both."""
    one, two = (_machine(sqlite_home, bucket, name) for name in ("one", "two"))
    for side in (8, 16):
        bundle = write_stub_bundle(tmp_path / f"made-{side}", side=side)
        models.register(one.settings, one.database, bundle.folder, None, "anna")
    model_store.forget()
    assert [str(each.ref) for each in models.versions(two.settings, two.database)] == ["stub/1", "stub/2"]
    models.promote(two.settings, two.database, "stub/1", who="anna")
    models.promote(two.settings, two.database, "stub/2", who="anna", force=True)
    assert str(models.rollback(one.settings, one.database, "stub", who="anna").ref) == "stub/1"
    write_images(two.settings.incoming_dir, 3)
    assert {each.state for each in images.results(two.database, _night(two, "night"))} == {"classified"}
    assert find_bundle(two.settings.models_dir, "stub/2").input.width == 16


def test_a_damaged_bundle_is_not_used(sqlite_home: Installation, bucket: str, tmp_path: Path) -> None:
    """Of a bundle whose files do not match, an earlier copy stays; without one, there is no such model."""
    one, two = (_machine(sqlite_home, bucket, name) for name in ("one", "two"))
    ref, _ = models.register(one.settings, one.database, SHIPPED, "shoes", "anna")
    weights = folder_of(f"{bucket}/models/{ref}/openvino/model.bin")
    whole = places.read(weights) or b""
    places.write(weights, whole[:-1] + b"x")
    model_store.forget()
    with pytest.raises(ConfigFault, match="no model"):
        model_store.find(two.settings, "shoes")
    model_store.refresh(one.settings, now=True)
    assert model_store.find(one.settings, "shoes").file("openvino/model.bin").read_bytes() == whole
    places.write(weights, whole)
    assert model_store.find(two.settings, "shoes").ref == ref
    models.register(one.settings, one.database, write_stub_bundle(tmp_path / "made").folder, None, "anna")
    for name in contents(bucket, f"models/{ref}"):
        places.remove(folder_of(f"{bucket}/{name}"))
    model_store.refresh(two.settings, now=True)
    with pytest.raises(ConfigFault):
        model_store.find(two.settings, "shoes")


def test_an_empty_store_removes_no_copy(
    sqlite_home: Installation, bucket: str, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the store has no model, or cannot be listed, the copies serve on, and the log warns."""
    one, two = (_machine(sqlite_home, bucket, name) for name in ("one", "two"))
    models.register(one.settings, one.database, write_stub_bundle(tmp_path / "made").folder, None, "anna")
    ref = model_store.find(two.settings, "stub").ref
    for name in contents(bucket, "models"):
        places.remove(folder_of(f"{bucket}/{name}"))
    with structlog.testing.capture_logs() as logs:
        model_store.refresh(two.settings, now=True)
    assert [each["event"] for each in logs] == ["models_store_empty"]
    assert model_store.find(two.settings, "stub").ref == ref
    with proxy(s3, Faults(expired={"tests"})) as address:
        use(address, monkeypatch)
        with pytest.raises(TransientFault):
            model_store.refresh(two.settings, now=True)
        model_store.forget()
        assert model_store.find(two.settings, "stub").ref == ref


def test_what_killed_processes_leave_is_removed(
    sqlite_home: Installation, bucket: str, tmp_path: Path
) -> None:
    """Copies go at the next look, drafts after a week, and a bundle that was not published after 30 days."""
    one = _machine(sqlite_home, bucket, "one")
    bundle = write_stub_bundle(tmp_path / "made")
    models.register(one.settings, one.database, bundle.folder, None, "anna")
    root = one.settings.models_dir
    for name in (".copy-1", ".aside-copied", ".draft-new", ".draft-old", ".aside-new", ".aside-old"):
        shutil.copytree(bundle.folder, root / name)
    (root / ".aside-copied" / model_store.COPIED).write_text("{}")
    old = time.time() - 31 * 24 * 3600
    for path in (root / ".draft-old", *(root / ".draft-old").rglob("*"), root / ".aside-old"):
        os.utime(path, (old, old))
    model_store.refresh(one.settings, now=True)
    assert {path.name for path in root.iterdir()} == {".lock", ".aside-new", ".draft-new", "stub"}


def test_two_machines_never_publish_one_version(
    sqlite_home: Installation, bucket: str, tmp_path: Path
) -> None:
    """The second is told where its bundle is kept, and registers it as the next version."""
    one = _machine(sqlite_home, bucket, "one")
    assert files.create(f"{bucket}/models/stub/1/.claimed", b"another bundle")
    bundle = write_stub_bundle(tmp_path / "made")
    with pytest.raises(ConflictError, match="published this version") as raised:
        models.register(one.settings, one.database, bundle.folder, None, "anna")
    assert "models register" in str(raised.value)
    assert not (one.settings.models_dir / "stub" / "1").exists()


def test_a_version_that_another_machine_took_becomes_the_next(
    sqlite_home: Installation, bucket: str, tmp_path: Path
) -> None:
    """A new bundle is published under the next free number, whole, and nothing is left aside."""
    one = _machine(sqlite_home, bucket, "one")
    for version in (1, 2):
        assert files.create(f"{bucket}/models/stub/{version}/.claimed", b"another bundle")
    one.settings.models_dir.mkdir()
    made = publish(write_stub_bundle(tmp_path / "made"), one.settings.models_dir)
    assert made.version == 1
    sent = model_store.send_as_next(one.settings, made)
    assert (sent.version, sent.folder.name) == (3, "3")
    two = _machine(sqlite_home, bucket, "two")
    assert model_store.find(two.settings, "stub").ref == sent.ref
    assert sorted(each.name for each in one.settings.models_dir.glob(".aside-*")) == []


def test_a_profile_gives_keys_that_are_renewed(
    bucket: str, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, region and address come from the files of AWS; a profile that does not exist is a sentence."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "returns")
    (tmp_path / "config").write_text(f"[profile returns]\nregion = eu-central-1\nendpoint_url = {s3}\n")
    store_of.cache_clear()
    with pytest.raises(ConfigFault, match="profile returns"):
        store_of(bucket)
    keys = "[returns]\naws_access_key_id = %s\naws_secret_access_key = b\naws_session_token = c\n"
    (tmp_path / "credentials").write_text(keys % "first")
    assert files.create(f"{bucket}/a", b"written")
    assert places.read(f"{bucket}/a") == b"written"
    assert profiles.ProfileCredentials("returns")()["access_key_id"] == "first"
    (tmp_path / "credentials").write_text(keys % "second")
    assert profiles.ProfileCredentials("returns")()["access_key_id"] == "second"
    store_of.cache_clear()


def test_a_restore_asks_for_nothing_of_the_bucket(
    sqlite_home: Installation, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos whose archive is in the bucket are neither missing nor written beside it on this machine."""
    home = _installed(sqlite_home, archive_dir=folder_of(f"{bucket}/archive"))
    write_images(home.settings.incoming_dir, 3)
    context, queue = home.in_process()
    run_id = scan(context, "night")
    save = backups.save

    def save_after_the_night(db: Database, target: Path) -> None:
        queue.deliver(context)
        save(db, target)

    monkeypatch.setattr(backups, "save", save_after_the_night)
    back_up(home.settings, home.database, tmp_path / "backup", with_database=True)
    shutil.rmtree(home.settings.home)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    new = Database(home.settings.database_url)
    found = restore(home.settings, new, tmp_path / "backup", with_database=True)

    assert (found.kept, found.waiting, found.missing) == (0, 0, [])
    assert list((tmp_path / "here").iterdir()) == []
    assert list(home.settings.incoming_dir.rglob("*.png")) == []
    assert {each.archived_path for each in images.results(new, run_id)} == {
        f"{bucket}/{key}" for key in contents(bucket, "archive")
    }
    new.close()


def test_a_pending_photo_of_a_bucket_is_sent_back(
    sqlite_home: Installation, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos that a worker moved out of the bucket after the database was copied are pending there again."""
    home = _installed(sqlite_home, incoming_dir=folder_of(f"{bucket}/in"))
    came_in = {path.name: path.read_bytes() for path in write_images(tmp_path / "drawn", 5)}
    for name, content in came_in.items():
        places.write(folder_of(f"{bucket}/in/{name}"), content)
    context, queue = home.in_process()
    run_id = scan(context, "night")
    save = backups.save

    def save_before_the_night(db: Database, target: Path) -> None:
        save(db, target)
        queue.deliver(context)

    monkeypatch.setattr(backups, "save", save_before_the_night)
    back_up(home.settings, home.database, tmp_path / "backup", with_database=True)
    assert contents(bucket, "in") == {}
    shutil.rmtree(home.settings.home)
    # One photo is in the bucket all the same, another's name is taken.
    names = sorted(came_in)
    places.write(folder_of(f"{bucket}/in/{names[0]}"), came_in[names[0]])
    places.write(folder_of(f"{bucket}/in/{names[1]}"), b"another one")

    new = Installation(home.settings, Database(home.settings.database_url))
    found = restore(new.settings, new.database, tmp_path / "backup", with_database=True)

    assert (found.kept, found.waiting, found.missing) == (0, 4, [f"{bucket}/in/{names[1]}"])
    assert contents(bucket, "in") == {f"in/{name}": came_in[name] for name in names} | {
        f"in/{names[1]}": b"another one"
    }
    context, queue = _installed(new, resend_seconds=0).in_process()
    for _ in range(3):
        sweep(context)
        queue.deliver(context)
    results = {each.name: each.state for each in images.results(new.database, run_id)}
    assert results == dict.fromkeys(names, "classified") | {names[1]: "quarantined"}
    new.database.close()
