"""The search finds exactly the photos that fulfil it, on both databases, in pages, by an index."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.data.desk_rows import fill
from returns_pipeline.records.images import Filter, ImageState
from returns_pipeline.records.search import Found, Place
from returns_pipeline.records.text import fold
from returns_pipeline.store import search_groups
from returns_pipeline.store.database import Database
from returns_pipeline.store.search_places import BLOCK
from returns_pipeline.store.tables import images, review_changes, runs, search_grams, search_progress
from returns_pipeline.usecases import search
from returns_pipeline.usecases.runs import classify_paths, scan
from returns_pipeline.usecases.sweep import sweep
from tests.databases import KINDS, migrated_database
from tests.support import Installation, write_images

_COUNT = 2 * BLOCK + 1000
_READS_ALL = re.compile(
    r"(?:SCAN|Seq Scan on) (?:images|chunks|predictions|review_changes|search_grams)\b(?! USING)"
)


@pytest.fixture(scope="module", params=KINDS)
def desk(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Give an installation with some nights of photos; the names of most are indexed."""
    from returns_pipeline.settings import settings_of_home

    folder = tmp_path_factory.mktemp("desk")
    server = partial(request.getfixturevalue, "postgres")
    with migrated_database(request.param, folder, server) as url:
        database = Database(url)
        fill(database, _COUNT)
        home = Installation(settings_of_home(folder / "home", database_url=url), database)
        # PostgreSQL's ids are settled at the second call.
        indexed = [search.index_names(database, home.settings) for _ in range(3)]
        assert sum(indexed) == 2 * BLOCK - 1  # there is no image 0
        search_groups.extend(database, 1, math.inf, least=1)
        yield home
        database.close()


def _names(home: Installation) -> dict[int, str]:
    with home.database.read() as connection:
        rows = connection.execute(sa.select(images.c.id, images.c.source_path)).all()
    return {image_id: fold(path.removeprefix("/data/incoming/")) for image_id, path in rows}


def _all(home: Installation, text: str, limit: int = 1000, **options: Any) -> list[int]:
    """Return the ids on all pages, forwards; going back gives the same pages."""
    pages: list[Found] = []
    place = None
    while True:
        _, page = search.find_images(home.database, home.settings, text, limit, place=place, **options)
        assert (page.previous is None) == (not pages)
        pages.append(page)
        if page.next is None:
            break
        place = page.next
    for later, earlier in zip(reversed(pages), reversed(pages[:-1]), strict=False):
        _, back = search.find_images(
            home.database, home.settings, text, limit, place=later.previous, **options
        )
        assert [each.id for each in back.images] == [each.id for each in earlier.images]
        assert back.next is not None
    return [image.id for page in pages for image in page.images]


@pytest.mark.parametrize(
    "text",
    [
        "471",
        "4711",
        "0004711",
        "rücksendung_0001",
        "RUCKSENDUNG_00047",
        "shelf-39",
        "99-",
        "xyzq",
    ],
)
def test_a_part_of_a_name_finds_exactly_the_photos_with_it(desk: Installation, text: str) -> None:
    """Pages forwards and backwards, oldest and newest first, hold what a comparison of all names holds."""
    number = int(text) if text.isdecimal() else None
    right = [each for each, name in _names(desk).items() if fold(text) in name or each == number]
    limit = max(100, len(right) // 3)
    assert _all(desk, text, limit) == sorted(right, reverse=True)
    assert _all(desk, text, limit, oldest_first=True) == sorted(right)
    _, page = search.find_images(desk.database, desk.settings, text, 10)
    assert page.total == len(right) or (page.has_more and page.total < len(right))


@pytest.mark.parametrize("text", ["r", "x", "12", "7"])
def test_one_or_two_letters_are_a_beginning_or_a_number(desk: Installation, text: str) -> None:
    """A short text never finds the middle of a name."""
    number = int(text) if text.isdecimal() else None
    right = [
        each
        for each, name in _names(desk).items()
        if name.rpartition("/")[2].startswith(fold(text)) or each == number
    ]
    assert _all(desk, text, limit=4000) == sorted(right, reverse=True)


def test_all_words_must_fit(desk: Installation) -> None:
    """Words of a name, a category, a run, a state and a filter narrow each other."""
    with desk.database.read() as connection:
        rows = connection.execute(
            sa.select(images.c.id, images.c.final_label, images.c.run_id, images.c.state)
        ).all()
    names = _names(desk)
    assert _all(desk, 'shelf-1 bag "x71" jpg') == []
    found = _all(desk, "shelf-1 bag jpg")
    assert found == sorted(
        (row.id for row in rows if row.final_label == "Bag" and "shelf-1" in names[row.id]), reverse=True
    )
    unusable = [row.id for row in rows if row.state == "quarantined" and row.run_id == 2]
    assert sorted(_all(desk, "unusable run 2")) == unusable
    only = Filter(state=ImageState.QUARANTINED)
    assert sorted(_all(desk, "run 2", also=only)) == unusable
    assert sorted(_all(desk, "run 2 jpg", also=only)) == unusable


def test_reviewers_states_and_days(desk: Installation) -> None:
    """A reviewer, `reviewed`, `corrected`, `unsure` and a day find their photos and no others."""
    with desk.database.read() as connection:
        who = connection.execute(sa.select(review_changes.c.image_id, review_changes.c.who)).all()
        run = connection.execute(
            sa.select(runs.c.id).order_by(runs.c.id.desc()).offset(1).limit(1)
        ).scalar_one()
        night = sorted(connection.execute(sa.select(images.c.id).where(images.c.run_id == run)).scalars())
        opened = connection.execute(sa.select(runs.c.opened_at).where(runs.c.id == run)).scalar_one()
    assert sorted(_all(desk, "by anna")) == sorted(each.image_id for each in who if each.who == "anna")
    assert (
        sorted(_all(desk, "reviewed"))
        == sorted(_all(desk, "corrected"))
        == sorted(each.image_id for each in who)
    )
    assert all(each % 20 == 3 for each in _all(desk, "unsure"))
    assert sorted(_all(desk, "yesterday", now=opened + timedelta(days=1))) == night
    assert sorted(_all(desk, f"{opened:%Y-%m-%d} shelf")) == night
    assert _all(desk, "2001-01-01") == _all(desk, "2001-01-01 jpg") == []


@contextmanager
def _plans(home: Installation) -> Iterator[dict[str, str]]:
    """Record the plan of each SELECT in the block."""
    found: dict[str, str] = {}
    explain = "EXPLAIN QUERY PLAN" if home.database.is_sqlite else "EXPLAIN"
    engine = home.database._engine

    def remember(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "WITH")) and statement not in found:
            found[statement] = ""
            # PostgreSQL reads a small table whole where that is cheaper; now only if there is no index.
            if not home.database.is_sqlite:
                connection.exec_driver_sql("SET enable_seqscan = off")
            rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            found[statement] = "\n".join(str(row[-1]) for row in rows)

    sa.event.listen(engine, "before_cursor_execute", remember)
    try:
        yield found
    finally:
        sa.event.remove(engine, "before_cursor_execute", remember)


@pytest.mark.parametrize(
    "text",
    [
        "4711",
        "jpg",
        "12",
        "bag",
        "bag 4711",
        "run 2",
        "by anna",
        "unusable",
        "unsure",
        "reviewed",
        "waiting",
        "yesterday",
        "#5",
    ],
)
def test_every_statement_of_a_search_uses_an_index(desk: Installation, text: str) -> None:
    """No kind of word reads a whole table."""
    with _plans(desk) as plans:
        search.find_images(desk.database, desk.settings, text, 60)
    slow = {statement: plan for statement, plan in plans.items() if _READS_ALL.search(plan)}
    assert plans
    assert slow == {}


def test_photos_are_found_before_and_after_their_names_are_indexed(home: Installation) -> None:
    """A photo is found as soon as it has a row; the sweep indexes whole blocks, once."""
    context, queue = home.in_process()
    folder = home.settings.incoming_dir
    write_images(folder / "Größe 40", 3)
    scan(context, "first")
    queue.deliver(context)
    find = partial(search.find_images, home.database, home.settings, limit=10)
    assert find(text="groesse")[1].total == 0
    assert (
        find(text="grosse")[1].total
        == find(text="GRÖSSE")[1].total
        == find(text='"größe 40/image"')[1].total
        == 3
    )
    # The folder of the intake is the same for every photo, so it finds none.
    assert find(text="incoming")[1].total == 0
    sweep(context)
    sweep(context)
    with home.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(search_grams)).scalar_one() == 0


def test_blocks_that_lack_a_trigram_are_left_out(home: Installation) -> None:
    """Groups know each block of a trigram; blocks that are in no group yet, and none of a lost one, stay."""
    blocks = search_groups.GROUP + 40
    rows = [{"block": block, "gram": 1, "places": b"\0\0"} for block in range(blocks)]
    rows += [{"block": block, "gram": 2, "places": b"\0\0"} for block in (3, 30, search_groups.GROUP + 7)]
    with home.database.write() as connection:
        connection.execute(sa.insert(search_grams), rows)
        connection.execute(
            sa.insert(search_progress).values(
                id=1, indexed_end=0, settled_end=0, seen_end=0, seen_transaction=0
            )
        )

    def possible(*terms: list[int]) -> list[int]:
        with home.database.read() as connection:
            return search_groups.possible(connection, terms, 2, blocks)

    assert possible([1, 2]) == list(range(2, blocks))
    search_groups.extend(home.database, blocks - 3, math.inf)
    newer = list(range(blocks - 3, blocks))
    for _ in range(2):
        assert possible([1], [2]) == [3, 30, search_groups.GROUP + 7, *newer]
        assert possible([1, 9]) == newer
        assert possible([1]) == possible() == list(range(2, blocks))
        search_groups.extend(home.database, blocks - 3, math.inf, least=1)
    with home.database.write() as connection:
        search_groups.add(connection, [(5, 2)])
    assert possible([2]) == [3, 5, 30, search_groups.GROUP + 7, *newer]


def test_special_characters_mean_themselves(home: Installation) -> None:
    """Characters that LIKE, FTS and regular expressions obey find only names that have them."""
    names = [
        "a%b_c.png",
        "a*b?c.png",
        "back\\slash.png",
        "it's.png",
        'quote"d.png',
        "(x)[y]{z}^$.png",
        "a b  c.png",
        "OR.png",
    ]
    folder = home.settings.home / "photos"
    paths = []
    for number, name in enumerate(names):
        (path,) = write_images(folder / str(number), 1, start=number)
        paths.append(str(path.rename(folder / name)))
    context, queue = home.in_process()
    classify_paths(context, "names", paths)
    queue.deliver(context)
    words = [
        "a%b",
        "%b_",
        "a*b?",
        "k\\s",
        "it's",
        '"quote"',
        "(x)[",
        "^$.",
        '"a b  c"',
        "or.png",
        "b_c",
        "'.p",
        "__c",
        "%%%",
        "\\x",
    ]
    found = {
        word: [image.name for image in search.find_images(home.database, home.settings, word, 10)[1].images]
        for word in words
    }
    assert found == {
        "a%b": [names[0]],
        "%b_": [names[0]],
        "a*b?": [names[1]],
        "k\\s": [names[2]],
        "it's": [names[3]],
        '"quote"': [names[4]],
        "(x)[": [names[5]],
        "^$.": [names[5]],
        '"a b  c"': [names[6]],
        "or.png": [names[7]],
        "b_c": [names[0]],
        "'.p": [],
        "__c": [],
        "%%%": [],
        "\\x": [],
    }


@pytest.mark.parametrize("home", ["postgresql"], indirect=True)
def test_a_photo_whose_transaction_ends_late_is_indexed(home: Installation) -> None:
    """PostgreSQL gives ids before it commits; a block with an open transaction is not indexed yet."""
    database, settings = home.database, home.settings
    fill(database, 5)
    row = {"run_id": 1, "chunk_id": 1, "in_intake": False, "size": 1, "mtime_ns": 1, "state": "pending"}
    with database.write() as late:
        late.execute(sa.insert(images), {**row, "id": 100, "source_path": "/data/incoming/late-photo.jpg"})
        with database.write() as connection:
            connection.execute(
                sa.insert(images), {**row, "id": 9000, "source_path": "/data/incoming/new.jpg"}
            )
        assert [search.index_names(database, settings) for _ in range(4)] == [0] * 4
        assert search.find_images(database, settings, "late-photo", 9)[1].total == 0
    assert sum(search.index_names(database, settings) for _ in range(3)) == 6
    assert [image.id for image in search.find_images(database, settings, "late-photo", 9)[1].images] == [100]


def test_a_page_behind_a_photo_that_is_gone_is_empty(desk: Installation) -> None:
    """An address with a place outside of the images shows an empty page, not a fault."""
    for place in (Place(0), Place(0, backwards=True), Place(2**62), Place(2**62, backwards=True)):
        for text in ("jpg", "bag", "yesterday"):
            search.find_images(desk.database, desk.settings, text, 10, place=place, now=datetime.now(UTC))
    assert search.find_images(desk.database, desk.settings, "jpg", 10, place=Place(1))[1].images == []
