"""Changes of model versions on real databases are atomic, recorded, and can be rolled back."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.errors import ConfigFault, ConflictError, PipelineError, RefusedError
from returns_pipeline.records.models import ModelAction, ModelFacts, ModelRef, ModelStage
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.store import runs, tables
from returns_pipeline.store.models import activate, all_versions, history
from returns_pipeline.usecases import models
from returns_pipeline.usecases.runs import scan
from tests.support import Installation, digests, write_images, write_stub_bundle

SHIPPED = PROJECT_ROOT / "models" / "fashion-mnist" / "1"


def _stages(home: Installation, name: str = "stub") -> dict[int, ModelStage]:
    found = models.versions(home.settings, home.database, name)
    return {version.ref.version: version.stage for version in found}


def _promote(home: Installation, model: str, **options: Any) -> models.Activation:
    return models.promote(home.settings, home.database, model, who="a person", **options)


def _measured(bundle: Bundle, accuracy: float, *, n: int = 1000, test: str | None = "same") -> Bundle:
    """Give a bundle an accuracy on `n` test images of the fingerprint `test`."""
    measured = replace(bundle, metrics={"accuracy": accuracy, "n": n}, data={"test_sha256": test})
    measured.save()
    return measured


def _used(home: Installation, request: str) -> str:
    """Scan and return the model of the run."""
    context, queue = home.in_process()
    run_id = scan(context, request)
    queue.deliver(context)
    return str(runs.model_of(home.database, run_id))


def test_a_new_version_is_used_only_once_it_is_promoted(home: Installation) -> None:
    """The first run activates the highest version; later versions are used once they are promoted."""
    assert _used(home, "first") == "stub/1"
    write_stub_bundle(home.settings.models_dir, version=2)
    assert _used(home, "second") == "stub/1"
    assert _stages(home) == {1: ModelStage.ACTIVE, 2: ModelStage.CANDIDATE}
    _promote(home, "stub/2", reason="it is newer")
    assert _used(home, "third") == "stub/2"
    assert _stages(home) == {1: ModelStage.ARCHIVED, 2: ModelStage.ACTIVE}
    first, second = history(home.database, "stub")
    assert (first.action, first.before, first.after) == (ModelAction.FIRST_USE, None, 1)
    assert (second.action, second.before, second.after) == (ModelAction.PROMOTE, 1, 2)
    assert (second.who, second.reason, second.forced) == ("a person", "it is newer", False)


def test_a_pinned_version_ignores_the_active_one(home: Installation) -> None:
    """NAME/VERSION in the settings neither reads nor changes the active version."""
    write_stub_bundle(home.settings.models_dir, version=2)
    context, _ = home.in_process()
    pinned = replace(context, settings=home.settings.model_copy(update={"model": "stub/1"}))
    assert str(runs.model_of(home.database, scan(pinned, "request"))) == "stub/1"
    assert history(home.database) == []


def test_a_run_keeps_the_version_that_it_opened_with(home: Installation) -> None:
    """A promotion during a night applies to the next run, not to the open one, even in the same process."""
    write_stub_bundle(home.settings.models_dir, version=2, side=16)
    write_stub_bundle(home.settings.models_dir, version=3, side=4)
    _promote(home, "stub/1")
    context, queue = home.in_process()
    opened = []
    for version in (1, 2, 3):
        _promote(home, f"stub/{version}")
        write_images(home.settings.incoming_dir, 12, start=100 * version)
        opened.append(scan(context, f"night {version}"))
    queue.deliver(context)
    with home.database.read() as connection:
        answered = connection.execute(
            sa.select(tables.images.c.run_id, tables.model_versions.c.version)
            .join_from(tables.predictions, tables.images)
            .join(tables.model_versions)
            .distinct()
        ).all()
    assert sorted(map(tuple, answered)) == list(zip(opened, (1, 2, 3), strict=True))
    assert [bundle.version for bundle, _ in context.loaded.values()] == [2, 3]


def test_a_rollback_goes_one_step_back_each_time(home: Installation) -> None:
    """After 1, 2, 3, a rollback activates 2, the next one 1, and the next one is refused."""
    for version in (2, 3):
        write_stub_bundle(home.settings.models_dir, version=version)
    for version in (1, 2, 3):
        _promote(home, f"stub/{version}")
    for version in (2, 1):
        done = models.rollback(home.settings, home.database, "stub", who="a person")
        assert (done.ref, done.replaced) == (ModelRef("stub", version), version + 1)
        assert _stages(home)[version] is ModelStage.ACTIVE
    with pytest.raises(ConflictError, match="No version of stub was active before"):
        models.rollback(home.settings, home.database, "stub", who="a person")
    assert [change.action for change in history(home.database)] == ["promote"] * 3 + ["rollback"] * 2


def test_concurrent_changes_are_serialized(home: Installation) -> None:
    """Of several concurrent promotions one succeeds; its version is active and is the last in the history."""
    versions = range(2, 8)
    for version in versions:
        write_stub_bundle(home.settings.models_dir, version=version)
    _promote(home, "stub/1")

    def change(version: int) -> bool:
        bundle = find_bundle(home.settings.models_dir, f"stub/{version}")
        facts = ModelFacts(bundle.ref, bundle.digest, {})
        return activate(home.database, facts, ModelAction.PROMOTE, "another operator", "", expected=1)

    with ThreadPoolExecutor(4) as pool:
        changed = list(pool.map(change, versions))
    assert changed.count(True) == 1
    (active,) = [version for version, stage in _stages(home).items() if stage is ModelStage.ACTIVE]
    assert [change.after for change in history(home.database)] == [1, active]


def test_the_database_itself_refuses_a_second_active_version(home: Installation) -> None:
    """An index refuses a second active version of a name, even for a manual statement."""
    write_stub_bundle(home.settings.models_dir, version=2)
    _promote(home, "stub/1")
    _promote(home, "stub/2")
    with pytest.raises(sa.exc.IntegrityError), home.database.write() as connection:
        connection.execute(sa.update(tables.model_versions).values(stage="active"))


def test_a_change_that_fails_changes_nothing(home: Installation) -> None:
    """A bundle that differs from its registered digest is not promoted; the active version stays."""
    bundle = write_stub_bundle(home.settings.models_dir, version=2)
    for version in (1, 2, 1):
        _promote(home, f"stub/{version}")
    before = history(home.database)
    replace(bundle, labels=("a", "b", "c", "d")).save()
    with pytest.raises(ConfigFault, match="not the one that was registered"):
        _promote(home, "stub/2", force=True)
    with pytest.raises(ConfigFault, match="not the one that was registered"):
        models.rollback(home.settings, home.database, "stub", who="a person")
    assert _stages(home) == {1: ModelStage.ACTIVE, 2: ModelStage.ARCHIVED}
    assert history(home.database) == before


def test_a_version_that_is_measurably_worse_needs_force(sqlite_home: Installation) -> None:
    """Worse means significantly worse on the test images; `forced` is recorded only if it was needed."""
    home = sqlite_home
    _measured(find_bundle(home.settings.models_dir, "stub/1"), 0.92)
    for version, accuracy in ((2, 0.89), (3, 0.91)):
        _measured(write_stub_bundle(home.settings.models_dir, version=version), accuracy)
    _promote(home, "stub/1")
    with pytest.raises(
        ConflictError, match=r"not promoted.*89.00%, measurably worse than the 92.00% of stub/1"
    ):
        _promote(home, "stub/2")
    assert _stages(home)[1] is ModelStage.ACTIVE
    assert "not measurably worse" in _promote(home, "stub/3", force=True).remark
    _promote(home, "stub/1")
    _promote(home, "stub/2", force=True)
    assert [change.forced for change in history(home.database)] == [False, False, False, True]


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (lambda bundle: replace(bundle, labels=("a", "b", "c", "d")), "labels differ"),
        (lambda bundle: replace(bundle, data={"test_sha256": "other"}), "other images"),
        (lambda bundle: replace(bundle, data={}), "not recorded"),
        (lambda bundle: replace(bundle, metrics={"accuracy": 0.1}), "does not record"),
    ],
)
def test_versions_that_cannot_be_compared_may_be_promoted(
    sqlite_home: Installation, alter: Callable[[Bundle], Bundle], reason: str
) -> None:
    """Accuracies on other labels or test images are not comparable; the remark gives the reason."""
    home = sqlite_home
    _measured(find_bundle(home.settings.models_dir, "stub/1"), 0.92)
    alter(_measured(write_stub_bundle(home.settings.models_dir, version=2), 0.1)).save()
    _promote(home, "stub/1")
    assert reason in _promote(home, "stub/2").remark


def test_registering_copies_a_bundle_whole(home: Installation, tmp_path: Path) -> None:
    """A bundle from any folder gets the next free version and a row; registering it again changes nothing."""
    elsewhere = tmp_path / "a download"
    shutil.copytree(SHIPPED, elsewhere)
    before = digests(elsewhere)
    for name, version in (("fashion-mnist", 1), ("stub", 2)):
        ref, is_new = models.register(home.settings, home.database, elsewhere, name, "a person")
        assert (ref, is_new) == (ModelRef(name, version), True)
        bundle = find_bundle(home.settings.models_dir, str(ref))
        assert all(bundle.file(file).is_file() for file in bundle.sha256)
        assert models.register(home.settings, home.database, elsewhere, name, "a person") == (ref, False)
    assert digests(elsewhere) == before
    assert {path.name for path in home.settings.models_dir.iterdir()} == {"fashion-mnist", "stub"}
    assert _stages(home) == {1: ModelStage.CANDIDATE, 2: ModelStage.CANDIDATE}
    assert [change.action for change in history(home.database)] == ["register"] * 2


def test_a_version_whose_folder_is_gone_keeps_its_number(sqlite_home: Installation) -> None:
    """A new bundle never gets a version number that the database has."""
    home = sqlite_home
    bundle = write_stub_bundle(home.settings.models_dir, version=2)
    _promote(home, "stub/2")
    kept = shutil.copytree(bundle.folder, home.settings.home / "kept")
    shutil.rmtree(bundle.folder)
    replace(bundle, folder=kept, labels=("a", "b", "c", "d")).save()
    ref, _ = models.register(home.settings, home.database, kept, None, "a person")
    assert ref == ModelRef("stub", 3)
    gone = models.show(home.settings, home.database, "stub/2")
    assert (gone.bundle, gone.stage) == (None, ModelStage.ACTIVE)


def test_a_bundle_that_is_refused_leaves_nothing(sqlite_home: Installation, tmp_path: Path) -> None:
    """Altered files, links, and names that leave the folder are refused; nothing is registered."""
    home = sqlite_home
    altered, linked, leading = (tmp_path / name for name in ("altered", "linked", "leading"))
    for folder in (altered, linked):
        shutil.copytree(SHIPPED, folder)
    (altered / "openvino" / "model.bin").write_bytes(b"other weights")
    (linked / "report" / "secret").symlink_to("/etc/hostname")
    shutil.copytree(home.settings.models_dir / "stub" / "1", leading)
    outside = replace(find_bundle(home.settings.models_dir, "stub/1"), folder=leading)
    replace(outside, sha256={"../../x": "0" * 64}).save()
    before = digests(home.settings.models_dir)
    refusals: list[tuple[Path, type[PipelineError], str]] = [
        (altered, ConfigFault, "sha256 differs"),
        (linked, RefusedError, "holds a link"),
        (leading, ConfigFault, "not a file inside"),
        (tmp_path / "none", ConfigFault, "no model bundle"),
    ]
    for folder, error, sentence in refusals:
        with pytest.raises(error, match=sentence):
            models.register(home.settings, home.database, folder, None, "a person")
    with pytest.raises(RefusedError, match="cannot name a model"):
        models.register(home.settings, home.database, SHIPPED, "../up", "a person")
    assert digests(home.settings.models_dir) == before
    assert [path.name for path in home.settings.models_dir.iterdir()] == ["stub"]
    assert all_versions(home.database) == []


def test_the_command_line_describes_each_change(sqlite_home: Installation) -> None:
    """`models` lists, registers, promotes, rolls back and shows the history; a refusal exits with 3."""
    home = sqlite_home
    write_stub_bundle(home.settings.models_dir, version=2)
    assert "stub/1 is active: new runs use it." in home.run("models", "promote", "stub/1").stdout
    second = home.run("models", "promote", "stub/2", "--who", "Ann", "--reason", "better")
    assert "stub/2 is active instead of 1" in second.stdout
    assert "stub/1 is active again instead of 2" in home.run("models", "rollback", "stub").stdout
    registered = home.run("models", "register", str(SHIPPED), "--name", "other")
    assert "other/1 is registered as a candidate" in registered.stdout
    listed = {(each["name"], each["version"]): each["stage"] for each in home.json("models", "list")}
    assert listed == {("stub", 1): "active", ("stub", 2): "archived", ("other", 1): "candidate"}
    shown = home.json("models", "show", "stub/2")
    assert (shown["stage"], [each["who"] for each in shown["history"]][:1]) == ("archived", ["Ann"])
    assert "promote stub 1 -> 2 (Ann): better" in home.run("models", "history", "stub").stdout
    refused = home.run("models", "promote", "stub/9")
    assert (refused.returncode, refused.stdout) == (3, "")


def test_a_reason_that_cannot_be_kept_changes_nothing(home: Installation) -> None:
    """Promote and rollback refuse a reason of over 1000 characters or with a NUL byte."""
    _promote(home, "stub/1", reason="x" * models.MOST_REASON)
    for reason in ("x" * (models.MOST_REASON + 1), "a\0b"):
        with pytest.raises(RefusedError, match="too long or is not plain text"):
            _promote(home, "stub/1", reason=reason)
        with pytest.raises(RefusedError, match="too long or is not plain text"):
            models.rollback(home.settings, home.database, "stub", who="a person", reason=reason)
    assert len(history(home.database)) == 1
