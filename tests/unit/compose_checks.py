"""The rules for docker-compose.yml: each check returns a sentence for each violation.

The schema is the Compose Specification's own (Apache-2.0, see tests/data/compose-spec.LICENSE).
"""

import json
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import typer.main
import yaml
from celery.bin.worker import worker as celery_worker
from click import ClickException, Context
from jsonschema import Draft202012Validator

from returns_pipeline.cli.commands import app as cli
from returns_pipeline.records.tasks import QUEUES, TRAIN
from returns_pipeline.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "tests/data/compose-spec.json").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
ENV_EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")

#: Services that end when they are done.
ONE_SHOT = {"migrate"}
#: Programs in the images of Redis and PostgreSQL, and in the project's images.
PROGRAMS = {"redis": {"sh", "redis-cli"}, "postgres": {"pg_isready"}}
PROJECT_PROGRAMS = {"python", "find", *(script.name for script in entry_points(group="console_scripts"))}
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY|AUTH")
#: ${NAME}, ${NAME:-default}, ${NAME:?message}; `$$` is a dollar sign.
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<kind>:?[-?+])?(?P<rest>[^}]*)\}")

Compose = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Reads Compose's own tags, which say what becomes of the value in the other file, as plain values."""


def _plain(loader: _Loader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node)


_Loader.add_constructor("!reset", _plain)


def load(name: str = "docker-compose.yml") -> Compose:
    """Return a Compose file without the keys of its anchors, which Compose ignores."""
    loaded = yaml.load((ROOT / name).read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
    return {key: value for key, value in loaded.items() if not key.startswith("x-")}


def strings(value: Any) -> Iterator[str]:
    """Yield every string of a tree, including the keys of its mappings."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def filled(value: str, **given: str) -> str:
    """Return a string with its variables replaced by `given` or by their defaults, as Compose does."""

    def replacement(match: re.Match[str]) -> str:
        default = match["rest"] if (match["kind"] or "").endswith("-") else ""
        return given.get(match["name"], default)

    return VARIABLE.sub(replacement, value).replace("$$", "$")


def stages(dockerfile: str) -> dict[str, list[tuple[str, str]]]:
    """Return the instructions of each stage, after those of the stages it is based on."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    instructions = "\n".join(lines).replace("\\\n", " ").splitlines()
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for instruction in filter(None, map(str.strip, instructions)):
        word, rest = instruction.split(maxsplit=1)
        if word == "FROM":
            parent, _, name = rest.split()
            found[name] = list(found.get(parent, [(word, parent)]))
        else:
            found[name].append((word, rest))
    return found


def last(instructions: list[tuple[str, str]], word: str) -> str:
    """Return the arguments of the last instruction of this kind, or an empty string."""
    return next((rest for name, rest in reversed(instructions) if name == word), "")


def built(compose: Compose) -> dict[str, Any]:
    """Return the services whose images this project builds."""
    return {name: service for name, service in compose["services"].items() if "build" in service}


def pipeline(compose: Compose) -> dict[str, Any]:
    """Return the services that run a command of the pipeline."""
    return {
        name: service for name, service in built(compose).items() if service["build"]["target"] != "storage"
    }


def workers(compose: Compose) -> dict[str, list[str]]:
    """Return the options of each worker service."""
    return {
        name: service["command"][1:]
        for name, service in pipeline(compose).items()
        if service["command"][0] == "worker"
    }


def option(words: list[str], name: str) -> str:
    """Return the value of an option."""
    return words[words.index(name) + 1]


def against_schema(compose: Compose) -> list[str]:
    """List what the Compose schema does not allow."""
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(compose)]


def unknown_commands(compose: Compose) -> list[str]:
    """List commands that do not exist, and options that Celery does not have."""
    wrong = []
    for name, service in pipeline(compose).items():
        entrypoint = json.loads(last(stages(DOCKERFILE)[service["build"]["target"]], "ENTRYPOINT"))
        words = [*service.get("entrypoint", entrypoint), *service["command"]]
        command: Any = typer.main.get_command(cli) if words[0] == "returns-pipeline" else None
        for word in words[1:]:
            command = command.commands.get(word) if hasattr(command, "commands") else command
        if command is None or hasattr(command, "commands"):
            wrong.append(f"{name}: {shlex.join(words)} is not a command")
    for name, words in workers(compose).items():
        try:
            left = celery_worker.make_parser(Context(celery_worker)).parse_args(list(words))[1]
        except ClickException as error:
            left = [error.message]
        wrong += [f"{name}: {word}" for word in left]
    return wrong


def unknown_checks(compose: Compose) -> list[str]:
    """List health checks with a program that the image lacks, or with a wrong worker name."""
    wrong = []
    for name, service in compose["services"].items():
        kind, *words = service.get("healthcheck", {}).get("test", ["CMD", "missing"])
        words = shlex.split(words[0]) if kind == "CMD-SHELL" else words
        if words[0] not in PROGRAMS.get(name, PROJECT_PROGRAMS) and name not in ONE_SHOT:
            wrong.append(f"{name}: no program {words[0]}")
        if name in workers(compose):
            node = option(workers(compose)[name], "-n").replace("%h", "$$HOSTNAME")
            if words[:3] != ["celery", "-A", "workers.app"] or option(words, "-d") != node:
                wrong.append(f"{name}: the check does not ping {node}")
    return wrong


def unserved_queues(compose: Compose) -> list[str]:
    """List queues without a worker that always runs, and queues that do not exist.

    Only the queue of retrainings has a worker that runs if it is asked for.
    """
    served = {name: option(words, "-Q").split(",") for name, words in workers(compose).items()}
    always = {
        queue
        for name, queues in served.items()
        if not compose["services"][name].get("profiles")
        for queue in queues
    }
    unknown = {queue for queues in served.values() for queue in queues} - {*QUEUES, TRAIN}
    return [f"no worker serves {queue}" for queue in set(QUEUES) - always] + [
        f"there is no queue {queue}" for queue in unknown
    ]


def unknown_settings(compose: Compose) -> list[str]:
    """List names with the prefix of the settings that are not settings."""
    named = {name for text in strings(compose) for name in re.findall(rf"\b{PREFIX}[A-Z_]+", text)}
    return sorted(named - {PREFIX + name.upper() for name in Settings.model_fields})


#: Secrets that may be empty: the settings refuse to start without them if they are needed.
NEEDED_WITH_ANOTHER = {f"{PREFIX}WEBHOOK_SECRET"}


def loose_secrets(compose: Compose) -> list[str]:
    """List secrets that have a default, may be empty, or are in the file."""
    wrong = [
        f"{match['name']} is not required"
        for text in strings(compose)
        for match in VARIABLE.finditer(text)
        if SECRET.search(match["name"])
        and match["kind"] != ":?"
        and (match["name"] not in NEEDED_WITH_ANOTHER or match[0] != f"${{{match['name']}:-}}")
    ]
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            if value is None:  # it is passed on from outside
                continue
            if SECRET.search(key) and not VARIABLE.fullmatch(str(value)):
                wrong.append(f"{name}: {key} is in the file")
            credentials = re.search(r"://[^/:@]*:([^@]*)@", VARIABLE.sub("variable", str(value)))
            if credentials and credentials[1] != "variable":
                wrong.append(f"{name}: the password in {key} is in the file")
    return wrong


def unsafe_services(compose: Compose) -> list[str]:
    """List long-running services without a health check or restart policy, and services that run as root."""
    wrong = []
    for name, service in compose["services"].items():
        if name not in ONE_SHOT and not service.get("healthcheck", {}).get("test"):
            wrong.append(f"{name}: no health check")
        if service.get("restart") != ("no" if name in ONE_SHOT else "unless-stopped"):
            wrong.append(f"{name}: wrong restart policy")
        stage = stages(DOCKERFILE).get(service.get("build", {}).get("target", ""), [])
        if service.get("user", last(stage, "USER")) in {"", "root", "0"}:
            wrong.append(f"{name}: runs as root")
    return wrong


def floating_images(compose: Compose) -> list[str]:
    """List images of services and Dockerfile stages without a version in their tag."""
    images = [service["image"] for service in compose["services"].values() if "image" in service]
    images += [instructions[0][1] for instructions in stages(DOCKERFILE).values()]
    return [image for image in images if not re.search(r":\d+\.?\d*-", image)]


def unknown_targets(compose: Compose) -> list[str]:
    """List build targets that are not stages of the Dockerfile."""
    return sorted(
        {service["build"]["target"] for service in built(compose).values()} - set(stages(DOCKERFILE))
    )


def mounts(compose: Compose) -> Iterator[tuple[str, str, str]]:
    """Yield service, source and target of every mount."""
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            if isinstance(volume, str):
                source, target, *_ = volume.split(":")
                yield name, source, target
            else:
                yield name, volume["source"], volume["target"]


def wrong_volumes(compose: Compose) -> list[str]:
    """List volumes that are used but not declared, or the reverse, and sources with two targets."""
    named = {source for _, source, _ in mounts(compose) if re.fullmatch(r"\w+", source)}
    wrong = [f"{name} is only used or only declared" for name in named ^ set(compose["volumes"])]
    targets: dict[str, set[str]] = {}
    for _, source, target in mounts(compose):
        targets.setdefault(source, set()).add(target)
    return wrong + [f"{source} is at {sorted(paths)}" for source, paths in targets.items() if len(paths) > 1]


def unreachable_folders(compose: Compose) -> list[str]:
    """List folders that a worker writes to but that are not mounted, so that the files would be lost."""
    settings = Settings(home=Path("/data"), models_dir=Path("/app/models"))
    mounted = [(name, Path(target)) for name, _, target in mounts(compose)]
    wrong = []
    for name, words in workers(compose).items():
        folders = [settings.incoming_dir, settings.archive_dir, settings.quarantine_dir, settings.models_dir]
        if "control" in option(words, "-Q"):
            folders.append(settings.report_dir)
        wrong += [
            f"{name}: {folder} is not mounted"
            for folder in folders
            if not any(name == owner and folder.is_relative_to(target) for owner, target in mounted)
        ]
    return wrong


def open_ports(compose: Compose) -> list[str]:
    """List ports that other machines can reach by default."""
    return [
        f"{name}: {port}"
        for name, service in compose["services"].items()
        for port in service.get("ports", [])
        if not filled(str(port)).startswith("127.0.0.1:")
    ]


def before_the_tables(compose: Compose) -> list[str]:
    """List services that use the database but do not wait for the migration."""
    return [
        name
        for name, service in pipeline(compose).items()
        if "RETURNS_DATABASE_URL" in service["environment"] and name not in ONE_SHOT
        if service["depends_on"].get("migrate") != {"condition": "service_completed_successfully"}
    ]


def killed_too_early(compose: Compose) -> list[str]:
    """Workers that a stop kills before the longest chunk has ended."""
    longest = Settings.model_fields["chunk_seconds"].default
    wrong = []
    for name in workers(compose):
        grace = re.fullmatch(r"(\d+)m", compose["services"][name].get("stop_grace_period", ""))
        if not grace or int(grace[1]) * 60 <= longest:
            wrong.append(name)
    return wrong
