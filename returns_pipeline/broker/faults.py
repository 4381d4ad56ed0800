"""Turns an error of Redis or its clients into a fault whose sentences say what to do."""

import re
from collections.abc import Iterator

from redis.exceptions import ResponseError

from returns_pipeline.errors import BrokerRefusesFault, TransientFault

#: What Redis replies while it refuses commands, with a sentence and an advice. Each state may end without a
#: restart of our processes. Redis' codes: https://redis.io/docs/latest/develop/reference/protocol-spec/
_REFUSALS = (
    (
        re.compile(r"used memory > 'maxmemory'|\bOOM\b"),
        "Redis is full and takes no messages (OOM).",
        "Raise its `maxmemory`, or delete what else it stores. Do not let it evict keys: they are messages.",
    ),
    (
        re.compile(r"read only replica|\bREADONLY\b|\bUNBLOCKED\b"),
        "Redis is a read-only replica and takes no messages (READONLY).",
        "Name the new master in RETURNS_BROKER_URL, or let Sentinel find it: `sentinel://HOST:PORT`.",
    ),
    (
        re.compile(r"\bMISCONF\b"),
        "Redis cannot save to its disk and takes no messages (MISCONF).",
        "Free some space on the disk of Redis, or correct the permissions of its folder; its log says which.",
    ),
    (
        re.compile(r"loading the dataset|\bLOADING\b"),
        "Redis is starting and loads its data (LOADING).",
        "Wait until it is ready.",
    ),
    (
        re.compile(r"\bNOREPLICAS\b"),
        "Redis has too few replicas and takes no messages (NOREPLICAS).",
        "Start the missing replicas, or lower `min-replicas-to-write`.",
    ),
    (
        re.compile(r"\bMASTERDOWN\b|Link with MASTER is down"),
        "Redis is a replica without a connection to its master (MASTERDOWN).",
        "Start the master, or name the new one in RETURNS_BROKER_URL.",
    ),
    (
        re.compile(r"\bNOPERM\b|has no permissions"),
        "The user in RETURNS_BROKER_URL may not use all commands that messages need (NOPERM).",
        "Give it all commands, keys and channels: `ACL SETUSER NAME on >PASSWORD ~* &* +@all`.",
    ),
)
#: What the text of an error says about the settings, with an advice.
_ADVICE = (
    (
        re.compile(r"\bWRONGPASS\b|invalid username-password|\bNOAUTH\b|Authentication required"),
        "Correct the password in RETURNS_BROKER_URL.",
    ),
    (
        re.compile("CERTIFICATE_VERIFY_FAILED"),
        "Name the certificate of its authority in RETURNS_BROKER_URL: `?ssl_ca_certs=FILE`. The address must "
        "be one of the names in the broker's certificate.",
    ),
    (
        re.compile("certificate required|HANDSHAKE_FAILURE|bad certificate|unknown ca", re.IGNORECASE),
        "Name a client certificate in RETURNS_BROKER_URL: `?ssl_certfile=FILE&ssl_keyfile=FILE`.",
    ),
    (
        # A server that wants TLS, or a client certificate, may also close the connection without a reason.
        re.compile("EOF occurred in violation|reset by peer|Broken pipe|WRONG_VERSION_NUMBER"),
        "RETURNS_BROKER_URL begins with rediss:// for a broker that accepts only TLS, else with redis://. If "
        "it wants client certificates, add `?ssl_certfile=FILE&ssl_keyfile=FILE`.",
    ),
)
#: redis-py appends the whole configuration of its clients to this message.
_NO_MASTER = re.compile(r"No master found for '([^']*)'")
_START = "Start it (`returns-pipeline up` starts an embedded one) or correct RETURNS_BROKER_URL."


def fault_of(error: BaseException) -> TransientFault:
    """Return the fault for an error of Redis, its client or kombu."""
    chain = list(_chain(error))
    text = " ".join(str(each) for each in chain)
    for pattern, message, advice in _REFUSALS:
        if pattern.search(text):
            return BrokerRefusesFault(message, advice)
    if no_master := _NO_MASTER.search(text):
        return TransientFault(
            "No Sentinel in RETURNS_BROKER_URL gives the address of the master {name}.",
            "Wait for the end of a failover, or correct `master_name`, `sentinel_password` or the addresses.",
            name=no_master[1],
        )
    reason = str(error).rstrip(".")
    advice = next((advice for pattern, advice in _ADVICE if pattern.search(text)), "")
    if not advice and any(isinstance(each, ResponseError) for each in chain):
        return BrokerRefusesFault("Redis refuses a command: {reason}.", "See its log.", reason=reason)
    return TransientFault("The broker does not answer: {reason}.", advice or _START, reason=reason)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
