"""The Docker engine: that of this machine, or one from Debian's packages for as long as the check runs."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.compose.progress import CheckError, say

#: Compose 2 is in Debian 13. Its engine runs on Debian 12 too, with the runc of that release.
_RELEASE = "trixie"
_PACKAGES = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd", "tini")
_PLUGINS = "usr/libexec/docker/cli-plugins"
#: The tables that Docker writes to, and their own chains.
_CHAINS = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
_START_SECONDS = 60
_END_SECONDS = 60


class Docker:
    """The command line of an engine."""

    def __init__(self, environment: dict[str, str]) -> None:
        """Use the engine and the programs of an environment."""
        self.environment = environment

    def try_run(
        self, *words: str, cwd: Path | None = None, given: str | None = None, seconds: float = 1800
    ) -> "subprocess.CompletedProcess[str]":
        """Run `docker WORDS` with `given` as its input; return its exit code and its output as text."""
        path = self.environment["PATH"]
        program = shutil.which("docker", path=path)
        if program is None:
            return subprocess.CompletedProcess(words, 127, "", f"There is no program docker in {path}.")
        return subprocess.run(
            [program, *words],
            cwd=cwd,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def run(
        self, *words: str, cwd: Path | None = None, given: str | None = None, seconds: float = 1800
    ) -> str:
        """Return what `docker WORDS` prints. Raises CheckError with its messages if it fails."""
        done = self.try_run(*words, cwd=cwd, given=given, seconds=seconds)
        if done.returncode:
            end = (done.stdout + done.stderr)[-3000:]
            raise CheckError(f"docker {' '.join(words)} ended with {done.returncode}: {end}")
        return done.stdout.strip()


@contextlib.contextmanager
def engine(work: Path) -> Iterator[Docker]:
    """Give a running engine. One from Debian's packages is kept in `work`, and ends with the block."""
    present = Docker(dict(os.environ))
    if present.try_run("version").returncode == 0:
        say("uses the engine of this machine")
        if present.try_run("compose", "version").returncode:
            raise CheckError("Docker's plugin compose is missing. On Debian: apt-get install docker-compose")
        yield present
    else:
        with _from_debian(work) as own:
            yield own


@contextlib.contextmanager
def _from_debian(work: Path) -> Iterator[Docker]:
    if os.geteuid():
        raise CheckError("No Docker engine answers. Start it, or run this as root: then it is fetched.")
    root = work / "engine"
    if not (root / "usr/sbin/dockerd").exists():
        say("fetches a Docker engine from Debian")
        _unpack(root, work / "packages")
    plugins = work / "config/cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    for plugin in (root / _PLUGINS).iterdir():
        link = plugins / plugin.name
        link.unlink(missing_ok=True)
        link.symlink_to(plugin)
    socket = f"unix://{work / 'docker.sock'}"
    own = Docker(
        os.environ
        | {
            "DOCKER_CONFIG": str(work / "config"),
            "DOCKER_HOST": socket,
            "PATH": f"{root / 'usr/bin'}:{root / 'usr/sbin'}:{os.environ['PATH']}",
        }
    )
    with _unchanged_firewall(), (work / "dockerd.log").open("ab") as log:
        command = [
            str(root / "usr/sbin/dockerd"),
            *("--data-root", str(work / "data"), "--exec-root", str(work / "exec")),
            *("--pidfile", str(work / "dockerd.pid"), "-H", socket),
        ]
        daemon = subprocess.Popen(
            command,
            env=own.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait(own, daemon, work / "dockerd.log")
            yield own
        finally:
            daemon.terminate()
            daemon.wait(_END_SECONDS)


def debian_mirror() -> str:
    """Return the address of the Debian mirror of this machine; it serves the other releases too."""
    lines = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    mirrors = [line for line in lines if line.rstrip("/").endswith("/debian")]
    if not mirrors:
        raise CheckError("apt knows no mirror of Debian.")
    return mirrors[0]


def _unpack(root: Path, work: Path) -> None:
    """Put the engine's packages below `root`, without installing them."""
    parts, lists, packages = work / "parts", work / "lists", work / "debs"
    for folder in (parts, lists / "partial", packages):
        folder.mkdir(parents=True, exist_ok=True)
    (parts / "engine.list").write_text(f"deb {debian_mirror()} {_RELEASE} main\n", encoding="utf-8")
    options = (
        "Dir::Etc::sourcelist=/dev/null",
        f"Dir::Etc::sourceparts={parts}",
        f"Dir::State::lists={lists}",
    )
    other = [word for option in options for word in ("-o", option)]
    for words in (
        [*other, "update"],
        [*other, "download", *_PACKAGES],
        ["download", "runc"],
    ):
        subprocess.run(["apt-get", "-qq", *words], cwd=packages, check=True, stderr=subprocess.DEVNULL)
    unpacked = root.with_name("engine.part")
    shutil.rmtree(unpacked, ignore_errors=True)
    for package in packages.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(unpacked)], check=True)
    unpacked.rename(root)


@contextlib.contextmanager
def _unchanged_firewall() -> Iterator[None]:
    """Restore the rules of before the block: Docker changes them and leaves its own."""
    saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    for table, chains in _CHAINS.items():
        if f"*{table}\n" not in saved:  # iptables-save leaves out a table that nothing has used yet
            saved += "\n".join([f"*{table}", *(f":{chain} ACCEPT" for chain in chains), "COMMIT", ""])
    try:
        yield
    finally:
        subprocess.run(["iptables-restore"], input=saved, text=True, check=True)


def _wait(docker: Docker, daemon: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while daemon.poll() is not None or docker.try_run("version").returncode:
        if daemon.poll() is not None or time.monotonic() > end:
            last = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise CheckError(f"The engine does not start: {last}")
        time.sleep(0.3)
