"""The web shows every model, also broken ones, and loads none."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.records.access import Role
from returns_pipeline.records.audit import AuditAction, AuditFilter
from returns_pipeline.records.models import ModelAction, ModelFacts, ModelRef
from returns_pipeline.records.retraining import Judgement
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.store import audit, retrainings
from returns_pipeline.store import models as model_rows
from returns_pipeline.usecases import proposals
from tests.support import Installation, write_stub_bundle
from tests.web import Site, site

SHIPPED = PROJECT_ROOT / "models" / "fashion-mnist" / "1"

#: A broken bundle.json for each version, and the words that its sentence has.
_BROKEN = {
    1: (b"[]", "not a JSON object"),
    2: (b"[" * 100_000, "nested too deeply"),
    3: (b'{"name": "\\ud800"}', "surrogate"),
    4: (b"{}", "`name`: field required"),
    5: (b"\xff\xfe", "utf-8"),
    6: (b"NaN", "not a JSON object"),
}


def _break(models: Path) -> None:
    """Write broken bundles of many kinds into a models folder."""
    for version, (text, _) in _BROKEN.items():
        folder = models / "broken" / str(version)
        folder.mkdir(parents=True)
        (folder / "bundle.json").write_bytes(text)
    (models / "broken" / "7").mkdir()
    os.mkfifo(models / "broken" / "7" / "bundle.json")
    (models / "broken" / "99999999999").mkdir()
    (models / "\udcff" / "1").mkdir(parents=True)
    (models / "two words" / "1").mkdir(parents=True)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a running site with a sound model, a shipped one, and broken ones."""
    with site(tmp_path_factory.mktemp("site"), runtime="auto") as running:
        models = running.home.settings.models_dir
        shutil.copytree(SHIPPED, models / "fashion-mnist" / "1")
        _break(models)
        yield running


def test_a_broken_bundle_hides_no_other(here: Site) -> None:
    """Page, REST and command line list every version; a broken one has the sentence of its fault."""
    answer = here.ask("GET", "/api/v1/models")
    assert answer.status_code == 200, answer.text
    faults = {f"{each['name']}/{each['version']}": each["fault"] for each in answer.json()["models"]}
    assert (faults.pop("stub/1"), faults.pop("fashion-mnist/1")) == ("", "")
    assert len(faults) == len(_BROKEN) + 4
    assert all(faults.values())
    page = here.page("/models")
    assert page.status_code == 200
    listed = {f"{each['name']}/{each['version']}": each["fault"] for each in here.home.json("models", "list")}
    for version, (_, words) in _BROKEN.items():
        assert words in faults[f"broken/{version}"]
        assert words in listed[f"broken/{version}"]
    assert "not a regular file" in faults["broken/7"]
    assert "not a version" in faults["broken/0"]
    assert page.text.count('class="bad"') >= len(faults)
    assert "nested too deeply" in here.home.run("models", "list").stdout


def test_commands_go_on_beside_broken_bundles(here: Site) -> None:
    """`status` and `doctor` have no traceback, and `models show` of a broken version names the fault."""
    for command in (("status",), ("doctor",), ("models", "show", "broken/2"), ("models", "register", "/dev")):
        done = here.home.run(*command)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
    refused = here.home.run("models", "show", "broken/2")
    assert refused.returncode == 3
    assert "nested too deeply" in refused.stderr


def test_a_proposal_is_promoted_with_one_click(here: Site) -> None:
    """The page says how much better a version is; an operator has a button, and the log has its click."""
    database, models = here.home.database, here.home.settings.models_dir
    shutil.copytree(SHIPPED.with_name("2"), models / "fashion-mnist" / "2")
    before = model_rows.active(database, "fashion-mnist")
    facts = ModelFacts(ModelRef("fashion-mnist", 2), find_bundle(models, "fashion-mnist/2").digest, {})
    expected = before.facts.ref.version if before else None
    assert model_rows.activate(database, facts, ModelAction.PROMOTE, "ann", "", expected=expected)
    context, _ = here.home.in_process()
    held = retrainings.claim(database, retrainings.add(database, facts.ref, "ann", None), 60)
    assert held is not None
    assert "fashion-mnist is being retrained" in here.page("/models").text
    retrainings.change(database, held, version=1)
    judgement = Judgement(612, 271, 0.018, 0.006, 0.03, 0.004)
    proposals.propose(context, held, find_bundle(models, "fashion-mnist/1"), judgement)
    sentence = "fashion-mnist/1 is right 1.8 points more often than fashion-mnist/2 (0.6 to 3.0, p = 0.004)"
    page = here.page("/models").text
    assert sentence in page
    form = re.search(
        r'action="(/models/fashion-mnist/1/promote)".*?name="reason" value="([^"]+)"', page, re.DOTALL
    )
    assert form is not None
    viewer = here.token_for(Role.VIEWER)
    seen = here.ask("GET", "/models", viewer, headers={"Accept": "text/html"}).text
    assert sentence in seen
    assert form[1] not in seen
    assert here.ask("POST", form[1], viewer, data={"reason": form[2]}).status_code == 403
    assert here.page(form[1], "POST", data={"reason": form[2]}).ok
    assert sentence not in here.page("/models").text.partition("<h2>")[0]
    (event,) = audit.page(database, AuditFilter(action=AuditAction.PROMOTE), None, 1)
    assert event.subject_id == "fashion-mnist/1"
    assert sentence in event.detail["reason"]


def test_the_web_loads_no_model(here: Site) -> None:
    """After a promotion that ran the model, neither OpenVINO nor Keras is in the memory of the web."""
    here.page("/models")
    done = here.ask("POST", "/api/v1/models/fashion-mnist/1/promote", json={"reason": "checked"})
    assert done.status_code == 200, done.text
    broken = here.ask("POST", "/api/v1/models/broken/2/promote", json={})
    assert broken.status_code == 409
    assert "nested too deeply" in broken.text
    web = psutil.Process(here.processes.process("web").pid)
    for process in (web, *web.children(recursive=True)):
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        assert "libopenvino" not in maps
        assert "tensorflow" not in maps


@pytest.mark.parametrize(
    "path", ["%00", "x" * 5000 + ".png", "../bundle.json", "..%2f..%2f1%2fbundle.json", "loop.png"]
)
def test_a_report_has_only_its_own_files(here: Site, path: str) -> None:
    """A path that no file can have, or that leads out of the report, is refused."""
    report = here.home.settings.models_dir / "fashion-mnist" / "1" / "report"
    if not (report / "loop.png").is_symlink():
        (report / "loop.png").symlink_to("loop.png")
    assert here.page("/models/fashion-mnist/1/report/index.html").status_code == 200
    assert here.page(f"/models/fashion-mnist/1/report/{path}").status_code in {400, 404}


def test_a_folder_that_may_not_be_read_is_named(sqlite_home: Installation) -> None:
    """An ordinary user gets each unreadable folder in the list, with what to do."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    models = sqlite_home.settings.models_dir
    write_stub_bundle(models, "closed").folder.parent.chmod(0o000)
    write_stub_bundle(models, "secret").folder.joinpath("bundle.json").chmod(0o000)
    script = (
        "import json, sys; from pathlib import Path\n"
        "from returns_pipeline.classify.bundle import find_bundle\n"
        "from returns_pipeline.classify.models_folder import on_disk\n"
        "from returns_pipeline.errors import ConfigFault\n"
        "faults = {str(ref): str(fault or '') for ref, fault in on_disk(Path(sys.argv[1]))}\n"
        "for model in ('secret/1', 'closed/1', 'closed'):\n"
        "    try: find_bundle(Path(sys.argv[1]), model)\n"
        "    except ConfigFault as fault: faults[model] = str(fault)\n"
        "print(json.dumps(faults))"
    )

    def faults() -> dict[str, str]:
        command: list[str | Path] = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            sys.executable,
            "-c",
            script,
            models,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)
        return dict(json.loads(done.stdout))

    for folder in (models, *list(models.parents)[:-2]):
        folder.chmod(0o755)
    found = faults()
    assert found.pop("stub/1") == ""
    assert set(found) == {"closed/0", "secret/1", "closed/1", "closed"}
    models.chmod(0o000)
    found |= {f"{model} again": fault for model, fault in faults().items()}
    assert all("Permission denied" in fault and "chmod -R a+rX" in fault for fault in found.values()), found
