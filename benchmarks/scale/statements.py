"""The SQL that makes the rows of a thousand nights. Numbers that look random are repeatable."""

from collections.abc import Iterator

CHUNK = 1000
#: Runs of the large database; a run has at least a chunk.
_RUNS = 1000
INTAKE = "/data/incoming"
MODEL = 1
#: A return has so many photos.
_OF_A_RETURN = 10
#: Nights whose photos later ones are compared with: the default of RETURNS_REUSE_DAYS.
_COMPARED_NIGHTS = 90
_KEYS_OF_A_PHOTO = 11
_BLOCK = 4096

_SCATTERED = "(({n} % 4294967291 * 2654435761 + 12345) % 4611686018427387847)"
_IMAGES = """
INSERT INTO images (id, run_id, chunk_id, source_path, in_intake, size, mtime_ns, identity, state, code,
    sha256, format, width, height, brightness, archived_path, final_label, final_source, review_id, return_id,
    return_source)
{numbers}, named AS (SELECT n AS id, (n - 1) / {chunk} + 1 AS chunk_id, (n - 1) / {night} + 1 AS run_id,
    CASE WHEN n % 100 = 7 THEN 'quarantined' ELSE 'classified' END AS state,
    CASE (n * 48271) % 4 WHEN 0 THEN 'dark' WHEN 1 THEN 'dim' WHEN 2 THEN 'bright' ELSE 'white' END AS label,
    'shelf-' || (n % {block} % 40) || '/Rücksendung_' ||
        substr(CAST(10000000 + n % {block} * 2417 AS TEXT), 2) || '-' ||
        substr(CAST(1000000 + n % {block} * 48271 % 1000000 AS TEXT), 2) || '.jpg' AS name
    FROM {source})
SELECT id, run_id, chunk_id, '{intake}/' || name, {false}, 40000 + id % 9000, 1700000000000000000,
    (40000 + id % 9000) || '-1700000000' || (100000000 + id % 899999999), state,
    CASE WHEN state = 'quarantined' THEN 'truncated' END, {hex} || '{zeros}', 'JPEG', 400, 533,
    CAST(id % 256 AS SMALLINT),
    '/srv/returns/var/archive/run-' || run_id || '/' || chunk_id || '/' || id || '-' || substr(name, 10),
    CASE WHEN state = 'classified' THEN label END,
    CASE WHEN state = 'classified' THEN CASE WHEN id % 50 = 5 THEN 'person' ELSE 'model' END END,
    CASE WHEN id % 50 = 5 THEN id END, (id - 1) / {of_a_return} + 1, 'slip'
FROM named
"""
_PREDICTIONS = """
INSERT INTO predictions (image_id, model_version_id, label_index, label, probability, main_label,
    main_probability, top, decision, familiarity, unfamiliar)
SELECT id, {model}, 1, final_label, 0.5 + id % 4999 / 10000.0, final_label, 0.97,
    '[[1, 0.91234], [0, 0.05123], [2, 0.02345], [3, 0.01012]]',
    CASE WHEN id % 20 = 3 THEN 'review' ELSE 'auto' END, 0.5, {false}
FROM images WHERE state = 'classified' ORDER BY id
"""
_FINGERPRINTS = """
INSERT INTO image_fingerprints (image_id, sha256_head) {numbers} SELECT n, {scattered} FROM {source}
"""
# 3 of 4 returns are decided. Of the others, one of ten is a mismatch.
_RETURNS = """
INSERT INTO returns (id, number, order_number, expected_label, title, customer, announced_on, source,
    created_at, changed_at, verdict, verdict_reason, sureness, verdict_detail, verdict_at, decision,
    decided_by, decided_at)
{numbers}
SELECT n, 'RMA-' || (10000000 + n), 'ORDER-' || (n / 2), 'dim', 'Jacket of cotton, dark blue, size M',
    'K-' || (n % 100003), {day}, 'returns.csv', {moment}, {moment},
    CASE WHEN n % 20 = 1 THEN NULL WHEN n % 10 = 3 THEN 'mismatch' ELSE 'match' END, 'probable', 0.9,
    '{{"photos": 10, "share": 0.91}}', {moment},
    CASE WHEN n % 4 > 0 THEN 'accepted' END, CASE WHEN n % 4 > 0 THEN 'anna' END,
    CASE WHEN n % 4 > 0 THEN {moment} END
FROM {source}
"""
_RETURN_EVENTS = """
INSERT INTO return_events (id, return_id, at, who, action, detail)
SELECT id, id, changed_at, 'anna', 'decide', '{{"decision": "accepted"}}' FROM returns
"""
_REVIEW_CHANGES = """
INSERT INTO review_changes (id, image_id, changed_at, who, action, label, outcome, main_label)
SELECT id, id, {moment}, CASE WHEN id % 1000 = 5 THEN 'anna' ELSE 'bert' END, 'correct', 'dim', 'label', 'dim'
FROM images WHERE id % 50 = 5 AND state = 'classified' ORDER BY id
"""
# What was reviewed, and the unsure predictions: 5 of 100, none of which is reviewed.
_REVIEWS = """
INSERT INTO reviews (image_id, run_id, kind, rank, reviewed_at, reviewer, label, main_label, was_right,
    inclusion)
SELECT id, run_id, CASE WHEN id % 50 = 5 THEN 'audit' ELSE 'doubt' END, id % 99991 / 99991.0,
    CASE WHEN id % 50 = 5 THEN {moment} END, CASE WHEN id % 50 = 5 THEN 'bert' END,
    CASE WHEN id % 50 = 5 THEN 'dim' END, CASE WHEN id % 50 = 5 THEN 'dim' END,
    CASE WHEN id % 50 = 5 THEN {false} END, CASE WHEN id % 50 = 5 THEN 0.02 ELSE 1 END
FROM images WHERE (id % 50 = 5 OR id % 20 = 3) AND state = 'classified' ORDER BY id
"""
_COMPARED = """
INSERT INTO compared_images (image_id, received_day, sha256_head) {numbers}
SELECT n, {today} - ({count} - n) / {night}, {scattered} FROM {source}
"""
_KEYS = """
INSERT INTO image_keys (key, image_id, view) {numbers}, {views}
SELECT {of_key} % 8589934592 AS scattered, n, view FROM {source} CROSS JOIN views ORDER BY scattered, n, view
"""
COPIED_BLOCKS = """
INSERT INTO search_grams (block, gram, places) {numbers}
SELECT n, gram, places FROM {source} CROSS JOIN search_grams WHERE block = 1 ORDER BY n, gram
"""
_NUMBERS_SQLITE = """WITH RECURSIVE numbers(n) AS (
    SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {end})"""
_NUMBERS_POSTGRESQL = """WITH RECURSIVE numbers(n) AS (
    SELECT generate_series(CAST({first} AS BIGINT), {last}))"""
_VIEWS = "views(view) AS (SELECT 0 UNION ALL SELECT view + 1 FROM views WHERE view < {last})"


def numbers(first: int, end: int, *, is_sqlite: bool) -> tuple[str, str]:
    """Return a WITH clause and its table, whose column `n` counts from `first` to below `end`."""
    made = _NUMBERS_SQLITE if is_sqlite else _NUMBERS_POSTGRESQL
    return made.format(first=first, end=end, last=end - 1), "numbers"


def images_of_a_run(count: int) -> int:
    """Return how many images each run has among `count`."""
    return max(1, count // _RUNS // CHUNK) * CHUNK


def of(count: int, *, is_sqlite: bool) -> Iterator[str]:
    """Yield the statements that make `count` images and everything about them, in their order."""
    night = images_of_a_run(count)
    compared = max(0, count - _COMPARED_NIGHTS * night)
    head = _SCATTERED.format(n="n")
    given = {
        "chunk": CHUNK,
        "night": night,
        "block": _BLOCK,
        "intake": INTAKE,
        "model": MODEL,
        "of_a_return": _OF_A_RETURN,
        "count": count,
        "false": "0" if is_sqlite else "false",
        "zeros": "0" * 48,
        "scattered": head,
        "of_key": _SCATTERED.format(n=f"(n * {_KEYS_OF_A_PHOTO} + view)"),
        "hex": f"printf('%016x', {_SCATTERED.format(n='id')})"
        if is_sqlite
        else f"lpad(to_hex({_SCATTERED.format(n='id')}), 16, '0')",
        "day": "date('now')" if is_sqlite else "current_date",
        "moment": "'2026-01-01 00:00:00.000000'" if is_sqlite else "timestamptz '2026-01-01 00:00:00Z'",
        "today": "CAST(strftime('%s', 'now') AS INTEGER) / 86400"
        if is_sqlite
        else "CAST(extract(epoch FROM now()) AS BIGINT) / 86400",
        "views": _VIEWS.format(last=_KEYS_OF_A_PHOTO - 1),
    }
    images_of_returns = -(-count // _OF_A_RETURN)
    ranges = {
        _RETURNS: (1, images_of_returns + 1),
        _RETURN_EVENTS: (1, 2),
        _COMPARED: (compared + 1, count + 1),
        _KEYS: (compared + 1, count + 1),
    }
    order = (_RETURNS, _IMAGES, _PREDICTIONS, _FINGERPRINTS, _RETURN_EVENTS, _REVIEW_CHANGES, _REVIEWS)
    for statement in (*order, _COMPARED, _KEYS):
        first, end = ranges.get(statement, (1, count + 1))
        clause, source = numbers(first, end, is_sqlite=is_sqlite)
        text = statement.format(numbers=clause, source=source, **given)
        yield text if is_sqlite else text.replace("%", "%%")
