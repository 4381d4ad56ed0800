"""docker-compose.yml, Dockerfile and .env.example agree with the code, each other and the Compose schema.

Broken files show that each check can fail.
"""

import copy
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from returns_pipeline.broker.app import make_app
from returns_pipeline.records.tasks import TASK_QUEUES, Task
from returns_pipeline.settings import PREFIX, Settings, load_settings
from tests.unit.compose_checks import (
    DOCKERFILE,
    ENV_EXAMPLE,
    ROOT,
    SECRET,
    VARIABLE,
    Compose,
    against_schema,
    before_the_tables,
    filled,
    floating_images,
    killed_too_early,
    last,
    load,
    loose_secrets,
    open_ports,
    option,
    pipeline,
    stages,
    strings,
    unknown_checks,
    unknown_commands,
    unknown_settings,
    unknown_targets,
    unreachable_folders,
    unsafe_services,
    unserved_queues,
    workers,
    wrong_volumes,
)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove the settings of the developer's environment and of a file `.env`."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def break_by(path: str, value: object) -> Callable[[Compose], None]:
    """Return a change that sets the value at a dotted path; None removes it."""

    def change(compose: Compose) -> None:
        *parents, key = path.split(".")
        for parent in parents:
            compose = compose[parent]
        if value is None:
            del compose[key]
        else:
            compose[key] = value

    return change


Check = Callable[[Compose], list[str]]

#: Each check, with changes that it must report.
CHECKS: dict[Check, list[Callable[[Compose], None]]] = {
    against_schema: [
        break_by("services.redis.restarts", "always"),
        break_by("services.beat.depends_on.redis", {"condition": "healthy"}),
    ],
    unknown_commands: [
        break_by("services.beat.command", ["beet"]),
        break_by("services.migrate.command", ["db"]),
        break_by("services.worker-cpu.command", ["worker", "-Q", "bulk", "--pol", "solo"]),
        break_by("services.flower.entrypoint", ["flower"]),
    ],
    unknown_checks: [
        break_by("services.flower.healthcheck.test", ["CMD", "curl", "http://127.0.0.1:5555"]),
        break_by(
            "services.worker-cpu.healthcheck.test", ["CMD-SHELL", "celery -A workers.app inspect ping -d x"]
        ),
    ],
    unserved_queues: [
        break_by("services.worker-control", None),
        break_by("services.worker-cpu.profiles", ["cpu"]),
        break_by("services.worker-gpu.command", ["worker", "-Q", "gpu"]),
    ],
    unknown_settings: [
        break_by("services.beat.environment.RETURNS_SCAN_OUR", "3"),
        break_by("services.beat.environment.OTHER", "${RETURNS_INTAKE:-}"),
    ],
    loose_secrets: [
        break_by("services.flower.environment.RETURNS_FLOWER_PASSWORD", "${RETURNS_FLOWER_PASSWORD:-admin}"),
        break_by("services.flower.environment.RETURNS_FLOWER_PASSWORD", "${RETURNS_FLOWER_PASSWORD?unset}"),
        break_by("services.postgres.environment.POSTGRES_PASSWORD", "returns"),
        break_by("services.beat.environment.RETURNS_BROKER_URL", "redis://:secret@redis:6379/0"),
    ],
    unsafe_services: [
        break_by("services.beat.healthcheck", None),
        break_by("services.redis.restart", None),
        break_by("services.redis.user", None),
        break_by("services.flower.user", "root"),
    ],
    floating_images: [
        break_by("services.redis.image", "redis:latest"),
        break_by("services.redis.image", "redis"),
    ],
    unknown_targets: [break_by("services.beat.build.target", "web")],
    wrong_volumes: [
        break_by("volumes.beat", None),
        break_by("volumes.forgotten", {}),
        break_by("services.worker-control.volumes", ["redis:/data/archives"]),
    ],
    unreachable_folders: [break_by("services.worker-cpu.volumes", ["photos:/data/archive"])],
    open_ports: [
        break_by("services.redis.ports", ["6379:6379"]),
        break_by("services.flower.ports", ["5555"]),
    ],
    before_the_tables: [
        break_by("services.worker-gpu.depends_on", {"redis": {"condition": "service_healthy"}})
    ],
    killed_too_early: [
        break_by("services.worker-cpu.stop_grace_period", "2m"),
        break_by("services.worker-gpu.stop_grace_period", None),
    ],
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nothing_is_wrong(check: Check) -> None:
    """The committed file breaks no rule."""
    assert check(load()) == []


@pytest.mark.parametrize(
    ("check", "change"),
    [
        pytest.param(check, change, id=check.__name__)
        for check, changes in CHECKS.items()
        for change in changes
    ],
)
def test_each_check_reports_a_broken_file(check: Check, change: Callable[[Compose], None]) -> None:
    """Each check reports a broken rule."""
    compose = copy.deepcopy(load())
    change(compose)
    assert check(compose)


@pytest.mark.parametrize("name", pipeline(load()))
def test_the_settings_accept_what_each_service_passes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If only the secrets are filled in, every service has valid settings and the broker of Compose."""
    secrets = {"REDIS_PASSWORD": "r1", "POSTGRES_PASSWORD": "p1", "RETURNS_FLOWER_PASSWORD": "f1"}
    for key, value in load()["services"][name]["environment"].items():
        if value is None:
            continue
        monkeypatch.setenv(key, filled(value, **secrets))
    settings = load_settings()
    assert settings.broker_url == "redis://:r1@redis:6379/0"
    if "RETURNS_DATABASE_URL" in load()["services"][name]["environment"]:
        assert settings.database_url == "postgresql+psycopg://returns:p1@postgres:5432/returns"


def test_celery_finds_the_app() -> None:
    """`celery -A workers.app`, which the health checks call, can be imported."""
    done = subprocess.run(
        [sys.executable, "-c", "from workers.app import app; print(app.main)"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout.strip() == "returns_pipeline", done.stderr


def test_the_health_check_of_beat_checks_the_file_that_beat_writes(tmp_path: Path) -> None:
    """Beat's health check names the folder and the file of its schedule."""
    written = Path(make_app(Settings(home=tmp_path)).conf.beat_schedule_filename)
    beat = load()["services"]["beat"]
    assert "beat:/data" in beat["volumes"]
    assert f"find /data -name '{written.name}*'" in beat["healthcheck"]["test"][1]
    assert ("ENV", "/data") in {
        (word, value)
        for word, rest in stages(DOCKERFILE)["base"]
        for value in re.findall(r"RETURNS_HOME=(\S+)", rest)
    }


def test_the_worker_that_learns_has_the_library() -> None:
    """The image of the service that takes the task LEARN installs the libraries of recommendations."""
    queue = TASK_QUEUES[Task.LEARN]
    learning = [name for name, words in workers(load()).items() if queue in option(words, "-Q").split(",")]
    assert learning
    for name in learning:
        target = load()["services"][name]["build"]["target"]
        installed = [rest for word, rest in stages(DOCKERFILE)[target] if word == "RUN"]
        assert any("-r requirements-recommend.txt" in each for each in installed)


@pytest.mark.parametrize("stage", ["base", "worker-control", "worker-cpu", "worker-gpu", "train"])
def test_no_final_stage_runs_as_root(stage: str) -> None:
    """Every image that runs has a user other than root, and starts the command line."""
    assert last(stages(DOCKERFILE)[stage], "USER") == "returns"
    assert last(stages(DOCKERFILE)[stage], "ENTRYPOINT") == '["returns-pipeline"]'


def test_every_file_that_is_copied_is_in_the_build_context() -> None:
    """Files that the Dockerfile copies exist, and .dockerignore lets only them in, so never `.env`."""
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    let_in = {line[1:] for line in allowed if line.startswith("!")}
    copied: set[str] = set()
    for instructions in stages(DOCKERFILE).values():
        for word, rest in instructions:
            if word in {"COPY", "ADD"} and "--from" not in rest:
                copied |= {source.rstrip("/") for source in rest.split()[:-1]}
    assert "*" in allowed
    assert copied == let_in
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_no_secret_is_in_a_layer() -> None:
    """No ARG or ENV of the Dockerfile is a secret, and each RETURNS_ name in it is a setting."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for instructions in stages(DOCKERFILE).values():
        for word, rest in instructions:
            if word in {"ARG", "ENV"}:
                assert not SECRET.search(rest)
                assert set(re.findall(rf"{PREFIX}[A-Z_]+", rest)) <= known


def test_the_example_names_every_variable_and_fills_in_no_secret() -> None:
    """`.env.example` has exactly the variables of the Compose file with their defaults, and empty secrets."""
    example = dict(re.findall(r"^(\w+)=(.*)$", ENV_EXAMPLE, flags=re.MULTILINE))
    used = {match["name"]: match for text in strings(load()) for match in VARIABLE.finditer(text)}
    defaults = {name: match["rest"] if match["kind"] == ":-" else "" for name, match in used.items()}
    assert example == defaults


def test_the_file_for_tls_fits_the_stack() -> None:
    """With compose.tls.yml only Caddy has ports, and the web trusts the forwarded headers of Caddy alone."""
    tls = load("compose.tls.yml")
    assert against_schema({**tls, "services": {"caddy": tls["services"]["caddy"]}}) == []
    assert floating_images({"services": tls["services"]}) == []
    assert {name for name, service in tls["services"].items() if service.get("ports")} == {"caddy"}
    address = tls["services"]["caddy"]["networks"]["front"]["ipv4_address"]
    assert tls["services"]["web"]["environment"]["RETURNS_WEB_PROXIES"] == address
    used = {match["name"] for text in strings(tls) for match in VARIABLE.finditer(text)}
    assert used <= set(re.findall(r"^#?\s*(\w+)=", ENV_EXAMPLE, flags=re.MULTILINE))
