"""The stack of docker-compose.yml in a clone of its own, and what an operator types there."""

import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests

from returns_pipeline.settings import PROJECT_ROOT
from tests.compose.engine import Docker
from tests.compose.progress import CheckError, expect
from tests.web import free_port

#: Not the name in docker-compose.yml: a stack that is in use on the same engine is left alone.
_PROJECT = "returns-pipeline-check"
_SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "RETURNS_FLOWER_PASSWORD", "RETURNS_WEB_SECRET")
_HEALTHY_SECONDS = 480
NAME, PASSWORD = "operator1", "correct horse battery"


class AwayError(CheckError):
    """The web answers that it cannot answer now, for example because its database is away."""


class Stack:
    """One clone with its stack."""

    def __init__(self, docker: Docker, folder: Path) -> None:
        """Use the clone in `folder`."""
        self._docker = docker
        self.folder = folder
        self.data = folder / "data"
        self.url = ""
        self._token = ""
        self._variables: dict[str, str] = {}
        docker.environment |= {"COMPOSE_PROJECT_NAME": _PROJECT, "COMPOSE_ANSI": "never"}

    def clone(self, revision: str) -> None:
        """Check a revision out, as `git pull` does; the files that the operator made stay."""
        if not self.folder.exists():
            subprocess.run(["git", "clone", "--quiet", str(PROJECT_ROOT), str(self.folder)], check=True)
        subprocess.run(["git", "checkout", "--quiet", revision], cwd=self.folder, check=True)

    def compose(self, *words: str, given: str | None = None, seconds: float = 1800) -> str:
        """Return what `docker compose WORDS` prints."""
        return self._docker.run("compose", *words, cwd=self.folder, given=given, seconds=seconds)

    def is_refused(self, *words: str) -> bool:
        """Whether `docker compose WORDS` fails."""
        return self._docker.try_run("compose", *words, cwd=self.folder).returncode != 0

    def script(self, *words: str) -> str:
        """Return what a script of the clone prints."""
        done = subprocess.run(
            words, cwd=self.folder, env=self._docker.environment, capture_output=True, text=True
        )
        if done.returncode:
            raise CheckError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def pipeline(self, *words: str) -> str:
        """Return what `returns-pipeline WORDS` prints in the container of scans."""
        return self.compose("exec", "-T", "worker-control", "returns-pipeline", *words)

    def sql(self, statement: str) -> str:
        """Return the rows of a statement, their values separated by |."""
        return self.compose("exec", "-T", "postgres", "psql", "-U", "returns", "-tAc", statement)

    def fill_in(self) -> None:
        """Write .env with secrets and free ports, and make the folder of the intake."""
        shutil.copy(self.folder / ".env.example", self.folder / ".env")
        (self.folder / ".env").chmod(0o600)
        web, self._flower = (f"127.0.0.1:{free_port()}" for _ in range(2))
        user = os.geteuid() or 1000
        self.set(
            **{name: secrets.token_hex(24) for name in _SECRETS},
            WEB_ADDRESS=web,
            FLOWER_ADDRESS=self._flower,
            APP_UID=str(user),
        )
        self.url = f"http://{web}"
        self.new_data()

    def new_data(self) -> None:
        """Make the folder of photos with an empty intake."""
        (self.data / "incoming").mkdir(parents=True)
        self.give([self.data, self.data / "incoming"])

    def set(self, **variables: str) -> None:
        """Set lines of .env."""
        self._variables |= variables
        path = self.folder / ".env"
        text = path.read_text(encoding="utf-8")
        for name, value in variables.items():
            line = f"{name}={value}"
            text, count = re.subn(rf"^{name}=.*$", line, text, flags=re.MULTILINE)
            text += "" if count else f"{line}\n"
        path.write_text(text, encoding="utf-8")

    def give(self, paths: Iterable[Path]) -> None:
        """Give files to the user of the containers."""
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, 1000, 1000)

    def add_people(self) -> None:
        """Add a user and a token, before which the web does not start."""
        words = ("users", "add", NAME, "--role", "operator", "--password", PASSWORD)
        self.compose("run", "--rm", "-T", "web", *words)
        self._token = self.pipeline("tokens", "add", "check", "--role", "operator").splitlines()[-1]

    def wait_healthy(self, services: int) -> None:
        """Wait until so many services are healthy. Raises CheckError with the ends of their logs."""
        end = time.monotonic() + _HEALTHY_SECONDS
        while (found := self.compose("ps", "--format", "{{.Status}}").count("(healthy)")) != services:
            if time.monotonic() > end:
                states = self.compose("ps", "--all")
                raise CheckError(
                    f"{found} services are healthy instead of {services}:\n{states}\n{self.logs()}"
                )
            time.sleep(2)

    def logs(self, *services: str, last: int = 20) -> str:
        """Return the last lines of each container."""
        return self.compose("logs", "--no-color", "--tail", str(last), *services)

    def get(self, path: str) -> Any:
        """Return the JSON of a path of the REST interface. Raises AwayError if the web says 503."""
        response = self.ask("GET", path)
        if response.status_code == 503:
            raise AwayError(response.text)
        expect(f"the status of {path}", response.status_code, 200)
        return response.json()

    def ask(self, method: str, path: str, url: str = "", **request: Any) -> requests.Response:
        """Send a request with the token, by default to the port of the web."""
        headers = {"Authorization": f"Bearer {self._token}"}
        return requests.request(method, (url or self.url) + path, headers=headers, timeout=60, **request)

    def flower(self, password: str | None = None) -> int:
        """Return the status of Flower's page of workers."""
        login = ("admin", password) if password else None
        return requests.get(f"http://{self._flower}/workers", auth=login, timeout=60).status_code

    def secret(self, name: str) -> str:
        """Return a variable of .env that was set."""
        return self._variables[name]

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's containers."""
        return self.compose("ps", "--quiet", service).split()

    def inspect(self, what: str, field: str) -> str:
        """Return a field of a container or an image, as a Go template names it."""
        return self._docker.run("inspect", "--format", f"{{{{{field}}}}}", what)

    def kill(self, service: str) -> None:
        """Kill the first process of a service's container, as a lack of memory does; Docker restarts it."""
        (container,) = self.containers(service)
        process = self.inspect(container, ".State.Pid")
        words = ("run", "--rm", "--privileged", "--pid", "host", "redis:7.2-bookworm")
        self._docker.run(*words, "sh", "-c", f"kill -KILL {process}")

    def slow_down(self, service: str, share: float) -> None:
        """Give each container of a service this share of a processor."""
        self._docker.run("update", "--cpus", f"{share}", *self.containers(service))

    def stop(self, *, forget: bool = False) -> None:
        """Stop the stack; forget its volumes too if wanted."""
        self.compose("--profile", "*", "down", "--remove-orphans", *(["--volumes"] if forget else []))
