"""What the connections to a SQLite file keep in memory."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from returns_pipeline.store.database import Database


def _cache_kib(db: Database) -> int:
    with db.read() as connection:
        return -int(connection.exec_driver_sql("PRAGMA cache_size").scalar_one())


def test_work_that_reads_rows_once_has_a_small_cache(tmp_path: Path) -> None:
    """In the block a thread's connection keeps a third of the pages; other threads and later work, all."""
    db = Database(f"sqlite:///{tmp_path / 'test.sqlite3'}")
    usual = _cache_kib(db)
    with ThreadPoolExecutor(1) as other, db.reading_once():
        assert _cache_kib(db) * 3 <= usual
        with db.write() as connection:
            (small,) = connection.exec_driver_sql("PRAGMA cache_size").one()
            assert -small * 3 <= usual
        assert other.submit(_cache_kib, db).result() == usual
        assert _cache_kib(db) * 3 <= usual
    assert _cache_kib(db) == usual
    db.close()
