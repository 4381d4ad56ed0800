"""The database, SQLite or PostgreSQL: connections, transactions, migrations."""

import os
import select
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.languages import N_
from returns_pipeline.settings.places import sqlite_file
from returns_pipeline.store import checkpoints, sqlite_connections
from returns_pipeline.store.checkpoints import Checkpoints, QuickReads
from returns_pipeline.store.compatibility import is_compatible
from returns_pipeline.store.tables import metadata

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
#: Where Alembic keeps the revision of a database.
_VERSION_TABLE = "alembic_version"
_VERSION: sa.Select[str] = sa.select(sa.column("version_num", sa.String)).select_from(
    sa.table(_VERSION_TABLE)
)
#: Parameters of a connection to PostgreSQL beside those of the URL.
_CONNECT = {"connect_timeout": 10}
#: Execution options of a transaction that writes.
WRITING = {"returns_writes": True}
_REPEATED = WRITING | {"returns_repeats": True}
#: Execution options of a connection that only reads.
_READING = {"returns_reads": True}


class Database:
    """An engine and its transactions. Open it in the process that uses it; it must not cross a fork."""

    def __init__(self, url: str, migrations: Path = MIGRATIONS) -> None:
        """Prepare the engine of `url`; nothing connects yet.

        `migrations` is the folder whose newest revision this program needs.
        """
        self._migrations = migrations
        self._shared = threading.local()
        self.url = sa.make_url(url)
        if self.url.drivername == "postgresql":
            self.url = self.url.set(drivername="postgresql+psycopg")
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._engine = sqlite_connections.engine(self.url, self._reads_once)
            self._checkpoints = Checkpoints(self.url.database or "")
            self._quick = QuickReads(self.url.database or "")
        else:
            self._engine = sa.create_engine(self.url, pool_size=2, connect_args=_CONNECT)
            sa.event.listen(self._engine, "connect", _open_postgresql)
            sa.event.listen(self._engine, "checkout", _require_open)
            sa.event.listen(self._engine, "begin", _begin_postgresql)
        self._reading = self._engine.execution_options(**_READING)

    @contextmanager
    def read(self, *, in_parts: bool = False) -> Iterator[sa.Connection]:
        """Give a connection for reading; `in_parts` if rows are read with `yield_per`.

        Raises TransientFault if the database does not answer.
        """
        shared: sa.Connection | None = getattr(self._shared, "connection", None)
        if shared is not None and not in_parts:
            yield shared
            return
        # Within a transaction only, PostgreSQL gives a result in parts.
        engine = self._engine if in_parts else self._reading
        with _faults(self.url), engine.connect() as connection:
            yield connection

    @contextmanager
    def read_together(self) -> Iterator[None]:
        """Let every `read` of this thread in the block use one connection and one transaction.

        Of many short reads, opening and ending their transactions is the larger part. On SQLite all of them
        see the same state; on PostgreSQL each sees what is committed. Raises TransientFault as `read` does.
        """
        with self.read() as connection:
            before = getattr(self._shared, "connection", None)
            self._shared.connection = connection
            try:
                yield
            finally:
                self._shared.connection = before

    @contextmanager
    def reading_once(self) -> Iterator[None]:
        """Let the transactions of this thread in the block keep few pages in the memory of this process.

        For long work that reads each row once. PostgreSQL keeps none here.
        """
        before = self._reads_once()
        self._shared.reads_once = True
        try:
            yield
        finally:
            self._shared.reads_once = before

    def _reads_once(self) -> bool:
        return getattr(self._shared, "reads_once", False)

    @contextmanager
    def write(self, *, lasting: bool = False, repeated: bool = False) -> Iterator[sa.Connection]:
        """Give one transaction: committed at the end, rolled back by any error.

        A `lasting` transaction is on the disk when this returns, and so are all earlier ones. A power failure
        may undo other transactions, but only the newest ones. PostgreSQL waits for the disk in all of them,
        except in those that are `repeated` if they were undone. On SQLite the transaction takes the write
        lock when it begins, so that it cannot fail half-way because of the lock. Raises TransientFault if the
        database does not answer.
        """
        options = _REPEATED if repeated else WRITING
        with (
            _faults(self.url),
            self._engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield connection
        if self.is_sqlite:
            if lasting:
                self.sync()
            self._checkpoints.after_commit()

    def version(self) -> int | None:
        """Return a number that changes with each commit; None if this database has none. For one thread."""
        return self._quick.version() if self.is_sqlite else None

    def quick_rows(self, query: str, values: Sequence[int | str]) -> list[tuple[Any, ...]] | None:
        """Return the rows of a query of SQLite; None if that would wait. For one thread."""
        return self._quick.rows(query, values) if self.is_sqlite else None

    def sync(self) -> None:
        """Make durable what is committed. Raises TransientFault if the disk fails.

        No transaction of others waits for this, as it would for a commit that waits for the disk. PostgreSQL
        shows nothing that is not durable.
        """
        if self.is_sqlite and self.url.database:
            try:
                checkpoints.sync(self.url.database)
            except OSError as error:
                raise TransientFault(
                    "The database {shown} cannot be written to the disk: {reason}.",
                    shown=safe(self.url),
                    reason=error.strerror,
                ) from error

    def driver_arguments(self) -> dict[str, Any]:
        """Return what PostgreSQL's driver takes for a connection beside those of this database."""
        return {**self._engine.dialect.create_connect_args(self.url)[1], **_CONNECT}

    def insert(self, table: sa.Table) -> Any:
        """Return the dialect's own INSERT, which supports ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def close(self) -> None:
        """Close every connection."""
        if self.is_sqlite:
            self._checkpoints.close()
            self._quick.close()
        self._engine.dispose()

    def upgrade(self, revision: str = "head") -> None:
        """Migrate forwards to `revision`. Makes the folder of a SQLite file.

        Changes nothing if the database has a newer, compatible schema. Raises ConfigFault if it has a newer
        one that this program cannot use.
        """
        from alembic import command

        if file := sqlite_file(str(self.url)):
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                # SQLite gives its other files the mode of this one.
                os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
            except OSError as error:
                raise ConfigFault(
                    "The database file {database} cannot be made or written: {reason}.",
                    "Give this user write permission to it and its folder, or set RETURNS_HOME.",
                    database=file,
                    reason=error.strerror,
                ) from error
        if self._is_newer(self.revision()[0]):
            self.require_current()
            return
        with _faults(self.url):
            command.upgrade(self._alembic(), revision)
        self.sync()

    def downgrade(self, revision: str) -> None:
        """Migrate back to `revision`; `base` drops every table."""
        from alembic import command

        with _faults(self.url):
            command.downgrade(self._alembic(), revision)
        self.sync()

    def revision(self) -> tuple[str | None, str]:
        """Return the revision that the database has and the one that this program needs.

        Read without Alembic, whose import takes longer than the rest of a short command.
        """
        with self.read() as connection:
            found = sa.inspect(connection).has_table(_VERSION_TABLE)
            current = connection.execute(_VERSION).scalar() if found else None
        return current, max(self._known_revisions())

    def _known_revisions(self) -> set[str]:
        """Return the revisions of this program's migrations: a file's name begins with its revision."""
        return {path.name.partition("_")[0] for path in (self._migrations / "versions").glob("[0-9]*.py")}

    def _is_newer(self, revision: str | None) -> bool:
        """Whether a database's revision is one that this program does not know."""
        return revision is not None and revision not in self._known_revisions()

    def differences(self) -> list[Any]:
        """Return the changes that would make the database's tables equal to those of the code."""
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        with self.read() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )
            return list(compare_metadata(context, metadata))

    def require_current(self) -> None:
        """Raise ConfigFault unless the database answers and this program can use its tables.

        It can use those of its own revision, and newer ones that declare themselves compatible: see
        `store.compatibility`.
        """
        advice = N_("Run `returns-pipeline db upgrade`.")
        if self.is_sqlite and self.url.database and not Path(self.url.database).exists():
            raise ConfigFault(
                "The database file {database} does not exist.", advice=advice, database=self.url.database
            )
        try:
            current, head = self.revision()
            if current == head:
                return
            if self._is_newer(current):
                self._require_compatible(current, head)
                return
        except TransientFault as fault:
            raise ConfigFault(
                fault.message, advice="Start the database or correct RETURNS_DATABASE_URL, then try again."
            ) from fault
        found = f"revision {current}" if current else "no tables yet"
        raise ConfigFault(
            "The database has {found}; this version needs {head}.", advice=advice, found=found, head=head
        )

    def _require_compatible(self, current: str | None, head: str) -> None:
        with self.read() as connection:
            if is_compatible(connection, head):
                return
        raise ConfigFault(
            "The database is of a newer version that this version cannot use: it has revision {current}, "
            "this version needs {head}.",
            "Update this program.",
            current=current,
            head=head,
        )

    def _alembic(self) -> Any:
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(self._migrations).replace("%", "%%"))
        config.attributes["engine"] = self._engine
        return config


def open_database(url: str) -> Database:
    """Return the database of `url`. Raises ConfigFault unless it answers and this program can use it."""
    database = Database(url)
    database.require_current()
    return database


def safe(url: sa.URL) -> str:
    """Return a URL for display: without the password, and without the query, which may hold one."""
    return url.set(query={}).render_as_string(hide_password=True)


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


@contextmanager
def _faults(url: sa.URL) -> Iterator[None]:
    try:
        yield
    except (
        sa.exc.OperationalError,
        sa.exc.InterfaceError,
        sa.exc.InternalError,  # PostgreSQL became read-only
        sa.exc.TimeoutError,
        sqlite3.OperationalError,  # at the begin of a transaction, from the driver
    ) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise TransientFault(
            "The database {shown} does not answer: {reason}.",
            advice="Start it or correct RETURNS_DATABASE_URL, then try again.",
            shown=safe(url),
            reason=reason.rstrip("."),
        ) from error


def _open_postgresql(driver: Any, _record: Any) -> None:
    driver.autocommit = True  # the "begin" listener starts transactions


def _begin_postgresql(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if options.get("returns_reads"):
        # Each statement sees what is committed, within a transaction too.
        return
    also = "; SET LOCAL synchronous_commit = off" if options.get("returns_repeats") else ""
    driver: Any = connection.connection.driver_connection
    fault: Any = connection.dialect.loaded_dbapi.Error
    try:
        driver.execute(f"BEGIN{also}")
    except fault as error:
        raise sa.exc.DBAPIError.instance("BEGIN", None, error, fault) from error


def _require_open(driver: Any, record: Any, _proxy: Any) -> None:
    """Let the pool replace a connection that the server has ended. Unlike a ping, this sends nothing."""
    if "is_used" not in record.info:
        record.info["is_used"] = True
        return
    if driver.closed:
        raise sa.exc.DisconnectionError
    socket = select.poll()
    socket.register(driver.fileno(), select.POLLIN)
    # An open connection has nothing to read before its next statement.
    if socket.poll(0):
        raise sa.exc.DisconnectionError
