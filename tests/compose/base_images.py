"""The images that others publish, from their registry; stand-ins from Debian where there is none."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.compose.engine import Docker, debian_mirror
from tests.compose.progress import CheckError, say

_HERE = Path(__file__).parent / "images"
#: Each image with the name of the file that makes its stand-in.
_IMAGES = {
    "python:3.12-slim-bookworm": "python",
    "redis:7.2-bookworm": "redis",
    "postgres:17-bookworm": "postgres",
    "caddy:2.10-alpine": "caddy",
}
_STAND_IN = "org.returns-pipeline.stand-in"
_ROOT = "returns-pipeline-debian:bookworm"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_NOT_IN_SLIM = (
    *(f"usr/share/{name}" for name in ("doc", "man", "locale", "info")),
    "var/cache/apt",
    "var/lib/apt/lists",
)
#: As in the official image of Python.
_PIP = "pip==25.0.1"


def prepare(docker: Docker, work: Path) -> None:
    """Let each image exist, and say where it is from. A stand-in of another recipe is made anew."""
    for image, name in _IMAGES.items():
        label = _label(docker, image)
        if (
            label not in {"", _recipe(name)}
            and docker.try_run("pull", "--quiet", image, seconds=600).returncode
        ):
            _build_stand_in(docker, image, name, work)
        say(f"{image}: {'a stand-in from Debian' if _label(docker, image) else 'from its registry'}")


def _label(docker: Docker, image: str) -> str | None:
    """Return the recipe of a stand-in, an empty text for another image, None if there is no image."""
    found = docker.try_run(
        "image", "inspect", "--format", f'{{{{index .Config.Labels "{_STAND_IN}"}}}}', image
    )
    return None if found.returncode else found.stdout.strip()


def _recipe(name: str) -> str:
    """Return a digest of what makes a stand-in."""
    return hashlib.sha256((_HERE / f"{name}.Dockerfile").read_bytes()).hexdigest()[:12]


def _build_stand_in(docker: Docker, image: str, name: str, work: Path) -> None:
    if _label(docker, _ROOT) is None:
        _import_debian(docker, work)
    context = work / "context"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(_HERE, context)
    shutil.copy(_CERTIFICATES, context / "ca-certificates.crt")
    (context / "pip.conf").write_text(_pip_settings(), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(context), _PIP]
    subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
    file = str(context / f"{name}.Dockerfile")
    docker.run(
        "build",
        "--quiet",
        "--tag",
        image,
        "--label",
        f"{_STAND_IN}={_recipe(name)}",
        "--file",
        file,
        str(context),
    )


def _import_debian(docker: Docker, work: Path) -> None:
    """Make an image of Debian itself."""
    program = shutil.which("debootstrap")
    if program is None:
        raise CheckError("There is neither a registry of images nor debootstrap: apt-get install debootstrap")
    say("makes an image of Debian")
    with tempfile.TemporaryDirectory(dir=work) as folder:
        root = Path(folder) / "root"
        command = [program, "--variant=minbase", "bookworm", str(root), debian_mirror()]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise CheckError(f"debootstrap fails: {done.stdout[-2000:]}{done.stderr[-1000:]}")
        _slim(root)
        archive = Path(folder) / "root.tar"
        subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
        docker.run("import", str(archive), _ROOT)


def _slim(root: Path) -> None:
    """Remove what the official slim images lack, also from later packages, so that sizes are comparable."""
    for place in _NOT_IN_SLIM:
        for path in (root / place).iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)
    excluded = "".join(f"path-exclude /{place}/*\n" for place in _NOT_IN_SLIM if place.startswith("usr"))
    (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(excluded, encoding="utf-8")
    (root / "etc/apt/apt.conf.d/slim").write_text('Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n')


def _pip_settings() -> str:
    """Return pip.conf for the image: the index of this machine, and the authorities that it trusts."""
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    index = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    lines = ["[global]", "cert = /etc/pip-ca.crt", "timeout = 180"]
    return "\n".join([*lines, *([f"index-url = {index}"] if index else []), ""])
