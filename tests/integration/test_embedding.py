"""Pictures of products are embedded in chunks that may be interrupted, and found again."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image

from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.catalogue import PictureState, SpaceState
from returns_pipeline.records.embedding import SpaceRow
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import embedding_chunks, photo_looks, products, spaces, tables
from returns_pipeline.usecases import embedding
from returns_pipeline.usecases.catalogue import ImportOptions, import_path
from returns_pipeline.usecases.photo_looks import look
from returns_pipeline.usecases.product_search import ProductSearch, refresh_index
from returns_pipeline.vectors import index
from tests.spaces import write_catalogue, write_space
from tests.support import Installation


@pytest.fixture
def shop(home: Installation, tmp_path: Path) -> tuple[Installation, Path]:
    """Give an installation with a space and twelve imported products, and the products' folder."""
    settings = home.settings.model_copy(update={"spaces_dir": tmp_path / "spaces"})
    write_space(settings.spaces_dir)
    shop = Installation(settings, home.database)
    return shop, imported(shop, write_catalogue(tmp_path / "shop", 12))


def imported(home: Installation, folder: Path) -> Path:
    """Import a catalogue."""
    import_path(home.settings, home.database, folder, "ann", ImportOptions({}))
    return folder


def embed(home: Installation, *, every: bool = False) -> None:
    """Embed what waits, as workers do."""
    context, queue = home.in_process()
    for chunk_id in embedding.plan(home.settings, home.database, every=every):
        queue.send(Task.EMBED_PICTURES, chunk_id)
    queue.deliver(context)


def states(home: Installation) -> list[str]:
    """Return the states of all pictures in their order."""
    image = tables.product_images.c
    with home.database.read() as connection:
        return list(connection.scalars(sa.select(image.state).order_by(image.id)))


def vectors(home: Installation) -> dict[int, bytes]:
    """Return the vectors of the active space by picture."""
    space = spaces.active(home.database)
    assert space is not None
    return dict(spaces.vectors(home.database, space.id))


def row_of(home: Installation, product_id: str) -> int:
    """Return the row id of a product."""
    found = products.find(home.database, product_id)
    assert found is not None
    return found.id


def looked_at(home: Installation, photo: Path) -> tuple[SpaceRow, bytes]:
    """Return the active space and the vector that a worker computes for a photo."""
    space = spaces.active(home.database)
    assert space is not None
    asked = photo_looks.ask(home.database, space.id, str(photo), photo.stat().st_size)
    look(home.in_process()[0], asked.id)
    found = photo_looks.find(home.database, asked)
    assert found.vector is not None
    return space, found.vector


def test_products_are_found_by_a_photo_and_by_a_product(shop: tuple[Installation, Path]) -> None:
    """A photo of a product finds this product first; a product finds others, the most similar first."""
    home, folder = shop
    embed(home)
    search = ProductSearch(home.settings, home.database)

    found = search.like_vector(*looked_at(home, folder / "images" / "5.png"), 3)
    assert found[0].product == row_of(home, "5")
    assert found[0].cosine == pytest.approx(1, abs=0.01)
    assert [each.cosine for each in found] == sorted((each.cosine for each in found), reverse=True)

    similar = search.like_product(row_of(home, "5"), 3)
    assert len(similar) == 3
    assert row_of(home, "5") not in {each.product for each in similar}


def test_an_unusable_picture_is_told_and_stops_no_other(shop: tuple[Installation, Path]) -> None:
    """A broken, a missing and a huge picture become unusable with a reason; all others are embedded."""
    home, folder = shop
    (folder / "images" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (folder / "images" / "1.png").unlink()
    Image.new("1", (30_000, 30_000)).save(folder / "images" / "2.png")
    embed(home)
    assert states(home)[:4] == ["unusable", "unusable", "unusable", "embedded"]
    image = tables.product_images.c
    with home.database.read() as connection:
        reasons = connection.scalars(
            sa.select(image.reason).where(image.state == PictureState.UNUSABLE)
        ).all()
    assert all(reasons)
    assert len(vectors(home)) == 9


def test_only_changed_pictures_are_embedded_again(shop: tuple[Installation, Path]) -> None:
    """A second pass changes the vector of the picture whose file has changed, and no other."""
    home, folder = shop
    embed(home)
    before = vectors(home)
    shutil.copy(folder / "images" / "3.png", folder / "images" / "0.png")
    embed(home, every=True)
    after = vectors(home)
    assert [image for image in before if before[image] != after[image]] == [min(before)]
    assert set(states(home)) == {"embedded"}
    revision = spaces.active(home.database)
    embed(home, every=True)
    assert spaces.active(home.database) == revision


def test_a_chunk_whose_process_died_is_done_once(shop: tuple[Installation, Path]) -> None:
    """A repeated message splits the chunk and completes it; the dead process' result is dropped."""
    home, _ = shop
    (chunk_id,) = embedding.plan(home.settings, home.database, every=False)
    dead = embedding_chunks.claim(home.database, chunk_id, "message", 60)
    assert dead is not None
    assert embedding_chunks.claim(home.database, chunk_id, "another message", 60) is None

    context, queue = home.in_process()
    embedding.embed_chunk(context, chunk_id, "message")
    assert len(queue.messages) == 2
    queue.deliver(context)
    assert len(vectors(home)) == 12
    with pytest.raises(embedding_chunks.LeaseLostError):
        embedding_chunks.store(home.database, dead, [])
    assert set(states(home)) == {"embedded"}


def test_a_new_space_takes_over_when_it_is_whole(shop: tuple[Installation, Path]) -> None:
    """The old space answers until each picture has its vector in the new one; then it is gone."""
    home, folder = shop
    embed(home)
    write_space(home.settings.spaces_dir, version=2, dark=10)
    first, *_ = embedding.plan(home.settings, home.database, every=False)
    active = spaces.active(home.database)
    assert active is not None
    assert active.version == 1
    assert ProductSearch(home.settings, home.database).like_product(row_of(home, "5"), 1)

    context, _ = home.in_process()
    embedding.embed_chunk(context, first, "message")
    active = spaces.active(home.database)
    assert active is not None
    assert active.version == 2
    search = ProductSearch(home.settings, home.database)
    found = search.like_vector(*looked_at(home, folder / "images" / "5.png"), 1)
    assert found[0].product == row_of(home, "5")
    with home.database.read() as connection:
        known = connection.execute(
            sa.select(tables.embedding_spaces.c.version, tables.embedding_spaces.c.state)
        ).all()
        total = connection.execute(sa.select(sa.func.count(tables.product_vectors.c.space_id))).scalar()
    assert sorted(map(tuple, known)) == [(1, SpaceState.RETIRED), (2, SpaceState.ACTIVE)]
    assert total == 12


def test_a_changed_space_needs_a_new_version(shop: tuple[Installation, Path]) -> None:
    """A space whose folder was changed is refused: its vectors could not be compared with the stored ones."""
    home, _ = shop
    embed(home)
    shutil.rmtree(home.settings.spaces_dir / "products" / "1")
    write_space(home.settings.spaces_dir, dark=3)
    with pytest.raises(ConfigFault, match="new version"):
        embedding.plan(home.settings, home.database, every=False)


def test_a_lost_message_is_sent_again(shop: tuple[Installation, Path]) -> None:
    """The sweep sends a chunk whose message is old; a chunk that is held is left alone."""
    home, _ = shop
    (chunk_id,) = embedding.plan(home.settings, home.database, every=False)
    assert embedding_chunks.to_send_again(home.database, 60, 3600, 10) == []
    assert embedding_chunks.to_send_again(home.database, 60, -1, 10) == [chunk_id]
    assert embedding_chunks.claim(home.database, chunk_id, "message", 60)
    assert embedding_chunks.to_send_again(home.database, 60, -1, 10) == []


def test_a_stale_or_broken_index_is_noticed(shop: tuple[Installation, Path]) -> None:
    """The index gives what exact search gives; a cut one, and one of other vectors, is written again."""
    pytest.importorskip("usearch")
    home, folder = shop
    embed(home)
    settings, db = home.settings, home.database
    exact = ProductSearch(settings, db).like_product(row_of(home, "5"), 4)
    assert refresh_index(settings, db, least=1)
    assert not refresh_index(settings, db, least=1)
    indexed = ProductSearch(settings, db).like_product(row_of(home, "5"), 4)
    assert [each.product for each in indexed] == [each.product for each in exact]

    (file,) = (settings.home / "vectors").glob("*.usearch")
    file.write_bytes(file.read_bytes()[:-9])
    assert ProductSearch(settings, db).like_product(row_of(home, "5"), 4) == exact
    assert refresh_index(settings, db, least=1)

    shutil.copy(folder / "images" / "3.png", folder / "images" / "0.png")
    embed(home, every=True)
    assert refresh_index(settings, db, least=1)
    assert len(list((settings.home / "vectors").glob("*.usearch"))) == 1


def test_a_page_does_not_wait_for_many_vectors(
    shop: tuple[Installation, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an index nothing is nearby; with a stale one, what it finds; few vectors are read."""
    pytest.importorskip("usearch")
    home, folder = shop
    embed(home)
    settings, db = home.settings, home.database
    space, vector = looked_at(home, folder / "images" / "5.png")
    expected = ProductSearch(settings, db).nearby(space, vector, 3)
    assert expected[0] == row_of(home, "5")

    monkeypatch.setattr(index, "LEAST_VECTORS", 12)
    search = ProductSearch(settings, db)
    assert search.nearby(space, vector, 3) == []
    assert refresh_index(settings, db, least=1)
    assert search.nearby(space, vector, 3) == expected
    shutil.copy(folder / "images" / "5.png", folder / "images" / "0.png")
    # As in the moment after an embedding: no worker has written the index anew.
    monkeypatch.setattr(index, "LEAST_VECTORS", 13)
    embed(home, every=True)
    monkeypatch.setattr(index, "LEAST_VECTORS", 12)
    changed = spaces.active(db)
    assert changed is not None
    assert search.nearby(changed, vector, 3) == expected
    assert refresh_index(settings, db, least=1)
    assert set(search.nearby(changed, vector, 2)) == {row_of(home, "0"), row_of(home, "5")}


def test_the_command_evaluates_a_catalogue(shop: tuple[Installation, Path], tmp_path: Path) -> None:
    """`articleType` and `article_type` are one column; an unknown one is refused with the known ones."""
    home, _ = shop
    folder = write_catalogue(tmp_path / "large", 64)
    found = home.json("catalogue", "evaluate", str(folder), "--by", "article_type", "--by", "colour")
    assert found["products"] == 64
    assert found["first"] == found["by"]["article_type"]["first"] >= 0.9
    assert 0 < found["by"]["colour"]["among_five"] <= 1
    wrong = home.run("catalogue", "evaluate", str(folder), "--by", "sleeve")
    assert wrong.returncode != 0
    assert "article type" in wrong.stderr.replace("\n", " ").lower()


def test_the_command_embeds(shop: tuple[Installation, Path]) -> None:
    """`catalogue embed --here` needs no worker and makes the space active."""
    home, _ = shop
    assert home.json("catalogue", "embed", "--here") == {
        "space": "products/1",
        "new": 0,
        "embedded": 12,
        "unusable": 0,
    }


def test_an_import_has_its_new_pictures_embedded(shop: tuple[Installation, Path]) -> None:
    """After an import, chunks are sent; pictures that come while they are open follow at a sweep.

    Nothing is sent without new pictures, and a shop without a space imports as before.
    """
    home, folder = shop
    context, queue = home.in_process()
    assert embedding.begin(context) == 1
    lines = (folder / "products.csv").read_text().replace("images/11.png", "images/2.png")
    (folder / "products.csv").write_text(lines)
    imported(home, folder)
    assert embedding.begin(context) == 0
    # The picture that has changed belongs to the open chunk; another one does not.
    (folder / "products.csv").write_text(f"{lines}12,hat,red,images/1.png\n")
    imported(home, folder)
    queue.deliver(context)
    assert states(home) == [PictureState.EMBEDDED] * 12 + [PictureState.NEW]
    embedding.go_on(context)
    queue.deliver(context)
    assert set(states(home)) == {PictureState.EMBEDDED}
    embedding.go_on(context)
    assert not queue.messages

    shutil.rmtree(home.settings.spaces_dir)
    (folder / "products.csv").write_text(f"{lines}13,hat,red,images/1.png\n")
    imported(home, folder)
    assert embedding.begin(context) == 0
