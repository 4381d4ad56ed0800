"""Real Redis servers for tests: with TLS, and a master with a replica and the Sentinels that watch them."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from returns_pipeline.host.embedded_redis import find_redis_server
from tests.web import free_port

PASSWORD = "pass;word/1"  # noqa: S105 - of servers that live as long as a test; its characters need quoting
QUOTED = "pass%3Bword%2F1"
_START_SECONDS = 30


@dataclass(frozen=True)
class Certificates:
    """Files of an authority, and of a certificate for 127.0.0.1 that servers and clients use."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def write(cls, folder: Path) -> "Certificates":
        """Make them with openssl."""
        folder.mkdir(parents=True, exist_ok=True)
        found = cls(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
        request = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ]
        authority_key = folder / "ca-key.pem"
        _quietly(*request, "-subj", "/CN=test authority", "-keyout", authority_key, "-out", found.authority)
        signed = ["-CA", found.authority, "-CAkey", authority_key, "-addext", "subjectAltName=IP:127.0.0.1"]
        _quietly(*request, "-subj", "/CN=test", *signed, "-keyout", found.key, "-out", found.certificate)
        return found

    @property
    def server_options(self) -> tuple[str, ...]:
        """The options of a Redis that accepts only TLS, from clients with a certificate."""
        return (
            *("--port", "0", "--tls-auth-clients", "yes", "--tls-replication", "yes"),
            *("--tls-ca-cert-file", str(self.authority), "--tls-cert-file", str(self.certificate)),
            *("--tls-key-file", str(self.key)),
        )

    @property
    def parameters(self) -> str:
        """The parameters of RETURNS_BROKER_URL."""
        return f"ssl_ca_certs={self.authority}&ssl_certfile={self.certificate}&ssl_keyfile={self.key}"

    def client(self, port: int, password: str | None = PASSWORD) -> redis.Redis:
        """Return a client that connects with TLS."""
        return redis.Redis(
            host="127.0.0.1",
            port=port,
            password=password,
            ssl=True,
            ssl_ca_certs=str(self.authority),
            ssl_certfile=str(self.certificate),
            ssl_keyfile=str(self.key),
        )


@dataclass(frozen=True)
class Server:
    """A Redis server or a Sentinel."""

    port: int
    process: subprocess.Popen[bytes]
    client: redis.Redis


@contextlib.contextmanager
def redis_server(folder: Path, *options: str, certificates: Certificates | None = None) -> Iterator[Server]:
    """Run a Redis server with PASSWORD; skip the test if it lacks TLS and needs it, except in CI."""
    login = (
        "--requirepass",
        PASSWORD,
        "--masterauth",
        PASSWORD,
        "--repl-diskless-sync-delay",
        "0",
    )
    quiet = () if "--save" in options else ("--save", "")
    with _server(folder, [], (*login, *quiet, *options), certificates, PASSWORD) as server:
        yield server


@dataclass
class Group:
    """A master, its replica, and Sentinels that know both; `url` is the setting for them."""

    master: Server
    replica: Server
    url: str


@contextlib.contextmanager
def sentinels(folder: Path, certificates: Certificates | None = None, count: int = 3) -> Iterator[Group]:
    """Run a master named `returns`, a replica and `count` Sentinels, all with PASSWORD."""
    with contextlib.ExitStack() as stack:
        tls = certificates
        master = stack.enter_context(redis_server(folder / "master", certificates=tls))
        copy = ("--replicaof", "127.0.0.1", str(master.port))
        replica = stack.enter_context(redis_server(folder / "replica", *copy, certificates=tls))
        _until(lambda: replica.client.info("replication")["master_link_status"] == "up")
        watching = []
        for number in range(count):
            configuration = folder / f"sentinel{number}" / "sentinel.conf"
            configuration.parent.mkdir(parents=True)
            configuration.write_text(
                f"sentinel monitor returns 127.0.0.1 {master.port} {count // 2 + 1}\n"
                f'sentinel auth-pass returns "{PASSWORD}"\n'
                "sentinel down-after-milliseconds returns 500\n"
                "sentinel failover-timeout returns 3000\n"
                f'requirepass "{PASSWORD}"\n'
                f'sentinel sentinel-pass "{PASSWORD}"\n',
                encoding="ascii",
            )
            program = [str(configuration), "--sentinel"]
            watching.append(
                stack.enter_context(_server(configuration.parent, program, (), certificates, PASSWORD))
            )
        for each in watching:
            _until(partial(_knows_all, each, count))
        hosts = ";".join(f"sentinel://:{QUOTED}@127.0.0.1:{each.port}" for each in watching)
        parameters = f"master_name=returns&sentinel_password={QUOTED}"
        extra = f"&{certificates.parameters}" if certificates else ""
        yield Group(master, replica, f"{hosts}/0?{parameters}{extra}")


def _knows_all(sentinel: Server, count: int) -> bool:
    found: Any = sentinel.client.sentinel_master("returns")
    return bool(found["num-slaves"] == 1 and found["num-other-sentinels"] == count - 1)


@contextlib.contextmanager
def _server(
    folder: Path,
    program: list[str],
    options: tuple[str, ...],
    certificates: Certificates | None,
    password: str,
) -> Iterator[Server]:
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    listen = (
        ("--tls-port", str(port), *certificates.server_options) if certificates else ("--port", str(port))
    )
    command = [find_redis_server(), *program, *listen, "--bind", "127.0.0.1", "--dir", str(folder), *options]
    log = folder / "redis.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    client = certificates.client(port) if certificates else redis.Redis("127.0.0.1", port, password=password)
    try:
        _until(lambda: process.poll() is not None or _answers(client))
        if process.poll() is not None:
            text = log.read_text(encoding="utf-8", errors="replace")
            if certificates and "Bad directive" in text and not os.environ.get("CI"):
                pytest.skip("this Redis server is built without TLS")
            raise AssertionError(text)
        yield Server(port, process, client)
    finally:
        client.close()
        process.kill()
        process.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the Redis servers did not become ready"
        time.sleep(0.02)


def _quietly(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
