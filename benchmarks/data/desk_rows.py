"""A large database for the pages: runs of many nights with images, predictions and reviews, made by SQL."""

from datetime import timedelta

import sqlalchemy as sa

from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import chunks, images, model_versions, review_changes, runs

_CHUNK = 1000
_NIGHTS = 20
LABELS = (
    "Ankle boot",
    "Bag",
    "Coat",
    "Dress",
    "Pullover",
    "Sandal",
    "Shirt",
    "Sneaker",
    "T-shirt",
    "Trouser",
)
#: The folder of the intake in the rows.
INTAKE = "/data/incoming"

_NUMBERS = """WITH RECURSIVE numbers(n) AS (
    SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {count})"""
#: A number from 0 to 999,999 that looks random and is repeatable.
_ODD = "((n * 48271 + 12345) % 1000003 % 1000000)"
# Of 1,000 images 10 are unusable and 20 reviewed; 50 of the predictions are unsure.
_IMAGES = """
INSERT INTO images (id, run_id, chunk_id, source_path, in_intake, size, mtime_ns, state, code, sha256, format,
    width, height, archived_path, final_label, final_source)
{numbers}, named AS (SELECT n + 1 AS id, n / {chunk} + 1 AS chunk_id, n / {night} + 1 AS run_id,
    CASE WHEN n % 100 = 7 THEN 'quarantined' ELSE 'classified' END AS state, {odd} % 10 AS category,
    'shelf-' || (n % 40) || '/Rücksendung_' || substr(CAST(10000000 + n AS TEXT), 2) || '-' ||
        substr(CAST(1000000 + {odd} AS TEXT), 2) || '.jpg' AS name
    FROM numbers)
SELECT id, run_id, chunk_id, '{intake}/' || name, {false}, 700, 1700000000000000000, state,
    CASE WHEN state = 'quarantined' THEN 'truncated' END, '0123456789abcdef', 'JPEG', 400, 533,
    '/data/archive/run-' || run_id || '/' || chunk_id || '/' || id || '-photo.jpg',
    CASE WHEN state = 'classified' THEN {label} END, CASE WHEN state = 'classified' THEN 'model' END
FROM named
"""
_PREDICTIONS = """
INSERT INTO predictions (image_id, model_version_id, label_index, label, probability, main_label,
    main_probability, top, decision)
SELECT id, 1, 1, final_label, 0.9, final_label, 0.9, '[[1, 0.9]]',
    CASE WHEN id % 20 = 3 THEN 'review' ELSE 'auto' END
FROM images WHERE state = 'classified'
"""
_REVIEWS = """
INSERT INTO review_changes (id, image_id, changed_at, who, action, label, outcome, main_label)
SELECT id, id, '2026-01-01 00:00:00.000000', CASE WHEN id % 1000 = 5 THEN 'anna' ELSE 'bert' END,
    'correct', 'Bag', 'label', 'Bag'
FROM images WHERE id % 50 = 5 AND state = 'classified'
"""
_REVIEWED = """
UPDATE images SET final_label = 'Bag', final_source = 'person', review_id = id
WHERE id IN (SELECT image_id FROM review_changes)
"""
# The unsure predictions without a review wait for one: 5 of 100.
_WAITING = """
INSERT INTO reviews (image_id, run_id, kind, rank)
SELECT images.id, images.run_id, 'doubt', (images.id % 997) / 997.0
FROM predictions JOIN images ON images.id = predictions.image_id
WHERE predictions.decision = 'review' AND images.final_source = 'model'
"""


def fill(db: Database, count: int) -> None:
    """Insert `count` images of some nights, the last of them today, into an empty database."""
    now = utc_now()
    night = -(-count // _NIGHTS // _CHUNK) * _CHUNK or count
    last_run = (count - 1) // night + 1
    label = (
        f"CASE category {' '.join(f'WHEN {at} THEN {_quoted(name)}' for at, name in enumerate(LABELS))} END"
    )
    values = {
        "numbers": _NUMBERS.format(count=count),
        "chunk": _CHUNK,
        "night": night,
        "odd": _ODD,
        "intake": INTAKE,
        "false": "0" if db.is_sqlite else "false",
        "label": label,
    }
    with db.write() as connection:
        connection.execute(
            sa.insert(model_versions).values(
                id=1, name="desk", version=1, sha256="0" * 64, metrics={}, created_at=now
            )
        )
        opened = {run: now - timedelta(days=last_run - run, minutes=1) for run in range(1, last_run + 1)}
        connection.execute(
            sa.insert(runs),
            [
                {
                    "id": run,
                    "request_id": f"desk-{run}",
                    "kind": "nightly",
                    "state": "closed",
                    "model_version_id": 1,
                    "opened_at": moment,
                    "touched_at": moment,
                    "closed_at": moment,
                    "seen": (seen := min(night, count - (run - 1) * night)),
                    "classified": seen,
                    "intake": INTAKE,
                }
                for run, moment in opened.items()
            ],
        )
        connection.execute(
            sa.insert(chunks),
            [
                {
                    "id": chunk + 1,
                    "run_id": (run := chunk * _CHUNK // night + 1),
                    "state": "done",
                    "size": _CHUNK,
                    "sent_at": opened[run],
                    "received_at": opened[run],
                    "finished_at": opened[run],
                }
                for chunk in range(-(-count // _CHUNK))
            ],
        )
        for statement in (_IMAGES, _PREDICTIONS, _REVIEWS, _REVIEWED, _WAITING):
            connection.exec_driver_sql(
                statement.format(**values).replace("%", "%%" if not db.is_sqlite else "%")
            )
    with db.write() as connection:
        connection.exec_driver_sql("ANALYZE")
        if not db.is_sqlite:
            for table in (runs, chunks, images, review_changes):
                connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {count + 1})"
                )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
