"""The first day of an installation: a release with older tables, its first night, the upgrade to this one."""

import base64
import json
import subprocess
from pathlib import Path

import requests

from returns_pipeline.settings import PROJECT_ROOT
from tests.compose import nights
from tests.compose.progress import CheckError, expect, say, step
from tests.compose.stack import NAME, PASSWORD, Stack

#: Healthy services of the plain stack with one worker; the migration ends.
SERVICES = 7
#: Of each of 303 photos.
_COPIES = 20
_MOST_MEGABYTES = 650
_VERSIONS = "migrations/versions"
#: Prints each installed distribution.
_INSTALLED = """
from importlib.metadata import distributions
print(*(f"{each.metadata['Name']}=={each.version}" for each in distributions()))
"""
_OWN_SERVICES = ("beat", "worker-control", "worker-cpu", "web", "flower")


def older_revision() -> str:
    """Return the newest commit that lacks the newest migration and whose migrations are one chain.

    A commit in which two migrations have one number, as a merge may leave it, was never a release.
    """
    newest = _migrations("HEAD")[-1]
    for commit in _git("log", "--first-parent", "--format=%H", "--", _VERSIONS).split():
        numbers = _migrations(commit)
        if numbers[-1] < newest and len(set(numbers)) == len(numbers):
            return commit
    raise CheckError(f"No commit in the history of this clone lacks migration {newest}.")


def _migrations(commit: str) -> list[str]:
    """Return the numbers of a commit's migrations, the newest last."""
    paths = _git("ls-tree", "--name-only", commit, f"{_VERSIONS}/").splitlines()
    return sorted(name[:4] for name in (Path(path).name for path in paths) if name[:4].isdecimal())


def install(stack: Stack) -> None:
    """Start the older release from nothing and send it requests."""
    stack.clone(older_revision())
    with step("nothing starts without secrets"):
        (stack.folder / ".env").write_text("", encoding="utf-8")
        expect("the refusal", stack.is_refused("config", "--quiet"), True)
    stack.fill_in()
    with step("an older release is built"):
        stack.compose("build", "--quiet")
    with step("seven services are healthy"):
        stack.compose("up", "--detach", "--quiet-pull")
        stack.add_people()
        stack.wait_healthy(SERVICES)
    with step("doctor finds no fault"):
        stack.pipeline("doctor")


def send_requests(stack: Stack) -> None:
    """Log in, classify a photo in both ways, and try what needs a password without it."""
    with step("the form logs in, and only with the password"):
        expect("a wrong password", _log_in(stack, "wrong").url, f"{stack.url}/login")
        page = _log_in(stack, PASSWORD)
        expect("where the log-in leads", page.url, f"{stack.url}/")
        if NAME not in page.text:
            raise CheckError(f"the first page does not name {NAME}")
    with step("photos over HTTP, and refusals without a password"):
        samples = stack.folder / "samples"
        body = {"images": [base64.b64encode((samples / "image_1012_label_1.png").read_bytes()).decode()]}
        expect("/process_batch", stack.ask("POST", "/process_batch", json=body).json(), {"predictions": [1]})
        file = {"file": (samples / "image_1039_label_5.png").read_bytes()}
        found = stack.ask("POST", "/predict", files=file).json()
        expect("/predict", found["predicted_main_category"], "Sandal")
        expect(
            "the web without a token", requests.get(f"{stack.url}/api/v1/runs", timeout=60).status_code, 401
        )
        expect("Flower without a password", stack.flower(), 401)
        expect("Flower", stack.flower(stack.secret("RETURNS_FLOWER_PASSWORD")), 200)


def first_night(stack: Stack) -> tuple[int, int]:
    """Classify a night; return its run and its number of photos."""
    with step("a night: each photo is classified or quarantined, moved and reported"):
        count = nights.put_photos(stack, "first", _COPIES)
        run = nights.begin(stack)
        nights.require_complete(stack, run, count)
        nights.require_files(stack, run, count)
        made = [path for path in stack.data.rglob("*") if "incoming" not in path.parts]
        owners = {(path.stat().st_uid, path.stat().st_gid) for path in made}
        user = int(stack.secret("APP_UID"))
        expect("the owners of what was made", owners, {(user, user)})
    return run, count


def upgrade(stack: Stack, first: int, count: int) -> None:
    """Bring this release while a night is open: the older one is stopped, the tables are migrated."""
    with step("the night is open when the older release stops"):
        second = nights.put_photos(stack, "second", _COPIES)
        run = nights.begin(stack)
        nights.require_open(stack, run)
        before = stack.sql("SELECT version_num FROM alembic_version")
        stack.stop()
    with step("this release is built"):
        stack.clone(head())
        stack.compose("build", "--quiet")
    with step("it migrates and closes the night"):
        stack.compose("up", "--detach")
        stack.wait_healthy(SERVICES)
        after = stack.sql("SELECT version_num FROM alembic_version")
        say(f"revision {before} became {after}")
        if not before < after:
            raise CheckError("no migration ran")
        nights.require_complete(stack, run, second)
        nights.require_files(stack, run, second)
        nights.require_complete(stack, first, count)


def closed_images(stack: Stack) -> None:
    """Try to write into each container's image, and as whom its processes run."""
    with step("no container runs as root or can write to its image"):
        for service in _OWN_SERVICES:
            (container,) = stack.containers(service)
            expect(f"the user of {service}", stack.inspect(container, ".Config.User"), "returns")
            refused = stack.is_refused("exec", "-T", service, "touch", "/usr/x", "/app/x")
            expect(f"{service} cannot write", refused, True)


def small_image(stack: Stack) -> None:
    """Measure the image of CPU workers, and compare its bill of materials with what is installed."""
    with step(f"the image of CPU workers has less than {_MOST_MEGABYTES} MB and lists its parts"):
        (container,) = stack.containers("worker-cpu")
        size = int(stack.inspect(stack.inspect(container, ".Image"), ".Size")) / 1e6
        say(f"the image has {size:.0f} MB")
        if size >= _MOST_MEGABYTES:
            raise CheckError(f"{size:.0f} MB")
        listed = json.loads(stack.compose("exec", "-T", "worker-cpu", "cat", "/opt/venv/materials.json"))
        expect("the format of the list", listed["bomFormat"], "CycloneDX")
        installed = stack.compose("exec", "-T", "worker-cpu", "python", "-c", _INSTALLED).split()
        found = {f"{part['name']}=={part['version']}" for part in listed["components"]}
        expect("parts that are not listed", sorted(set(installed) - found), [])


def _log_in(stack: Stack, password: str) -> requests.Response:
    form = {"name": NAME, "password": password}
    return requests.post(f"{stack.url}/login", data=form, timeout=60)


def head() -> str:
    """Return the commit that is checked."""
    return _git("rev-parse", "HEAD")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
