"""Commands of embedding spaces: `catalogue evaluate` and `train embedding`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.options import MOST, Json

Catalogue = Annotated[
    Path, typer.Argument(metavar="CATALOGUE", help="File or folder of products with pictures.")
]


def evaluate(
    catalogue: Catalogue,
    by: Annotated[list[str], typer.Option("--by", help="Attribute to compare; may be given several times.")],
    space: Annotated[
        str | None,
        typer.Option(help="NAME or NAME/VERSION of an embedding space; RETURNS_SPACE if not given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure how often the most similar other products have the same attribute."""
    from returns_pipeline.classify.spaces.embedder import Embedder
    from returns_pipeline.classify.spaces.space import find_space
    from returns_pipeline.cli.console import progress_bar
    from returns_pipeline.report.words import counted
    from returns_pipeline.settings import load_settings
    from returns_pipeline.terminal import Terminal, plain_table
    from returns_pipeline.usecases.space_evaluation import evaluate as measured

    settings = load_settings()
    embedder = Embedder(
        find_space(settings.spaces_dir, space or settings.space), threads=len(os.sched_getaffinity(0))
    )
    with progress_bar("comparing") as on_progress:
        found = measured(settings, catalogue, by, embedder, lambda done: on_progress(done, None))
    if as_json:
        measures = {name: each._asdict() for name, each in found.by.items()}
        first = next(iter(found.by.values()))
        # The first attribute's figures stand at the top, so that a script with one attribute needs no name.
        console.print_json(
            {
                "space": str(embedder.space.ref),
                "products": found.products,
                "left_out": found.left_out,
                "first": first.first,
                "among_five": first.among_five,
                "by": measures,
            }
        )
        return
    console.print_line(
        f"{counted(found.products, 'product')} in {embedder.space.ref}, each compared with all others."
    )
    if found.left_out:
        console.print_note(f"{counted(found.left_out, 'product')} without a usable picture left out.")
    table = plain_table()
    for heading in ("attribute", "products", "first", "among_five"):
        table.add_column(heading, overflow="fold")
    for name, each in found.by.items():
        table.add_row(name, f"{each.products:,}", f"{each.first:.1%}", f"{each.among_five:.1%}")
    Terminal().print_table(table)


def train_embedding(
    catalogue: Catalogue,
    by: Annotated[
        str | None, typer.Option("--by", help="Attribute that similar products share, like article_type.")
    ] = None,
    colour: Annotated[
        str | None,
        typer.Option("--colour", help="Attribute with the colour; without it, colours hardly count."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the space; it gets the next free version.")] = "products",
    judged: Annotated[
        float, typer.Option(min=0.05, max=0.5, help="Share of the products that only judge the space.")
    ] = 0.25,
    seed: Annotated[int, typer.Option(min=0, max=MOST, help="Seed of the division of the products.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the embedding spaces; RETURNS_SPACES_DIR if not given.")
    ] = None,
) -> None:
    """Train an embedding space on the attributes of a catalogue: a minute for 2,400 products on two cores."""
    import shlex
    import sys

    from returns_pipeline.classify.manifest import is_model_name
    from returns_pipeline.cli.console import progress_bar
    from returns_pipeline.cli.output.training import require_keras
    from returns_pipeline.errors import RefusedError
    from returns_pipeline.photos.decoding.bounds import Limits
    from returns_pipeline.records.text import printable
    from returns_pipeline.settings import load_settings

    if not is_model_name(name):
        raise RefusedError("{name!r} is not a valid name for an embedding space.", name=printable(name))
    require_keras()
    from returns_pipeline.training.embedding.train import EmbeddingRequest, train

    settings = load_settings()
    command = printable(shlex.join(["returns-pipeline", *sys.argv[1:]]))
    folder = (out or settings.spaces_dir).absolute()
    request = EmbeddingRequest(catalogue, name, folder, command, by, colour, judged, seed)
    with progress_bar("features") as on_progress:
        space = train(request, Limits.of(settings), on_progress)
    console.print_line(f"Written: {space.ref} in {space.folder}, {space.dimensions} bytes a picture.")
    for measure, value in space.metrics.items():
        shown = f"{value:.1%}" if value <= 1 else f"{value:,.0f}"
        console.print_line(f"{measure}: {shown}")


def embed(
    here: Annotated[bool, typer.Option("--here", help="Embed in this process; no worker is needed.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the workers are done.")] = True,
    as_json: Json = False,
) -> None:
    """Embed the pictures of the catalogue. A picture whose file is the same as before is not embedded again.

    May be interrupted and repeated. Exit code 1 if pictures are unusable.
    """
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.cli.console import progress_bar
    from returns_pipeline.cli.installation import open_installation
    from returns_pipeline.host import embedding
    from returns_pipeline.logs import configure_logging
    from returns_pipeline.records.catalogue import PictureState
    from returns_pipeline.store import catalogue_imports, spaces

    settings, database = open_installation()
    configure_logging(settings)
    with progress_bar("chunks") as on_progress:
        if here:
            embedding.embed_here(settings, database, on_progress)
        else:
            embedding.embed_by_workers(settings, database, open_queue(settings), on_progress, wait=wait)
    pictures = catalogue_imports.summary(database, 1).pictures
    active = spaces.active(database)
    if as_json:
        counts = {str(state): total for state, total in pictures.items()}
        console.print_json({"space": str(active.ref) if active else None, **counts})
    else:
        space = f"The active space is {active.ref}." if active else "No space is whole yet."
        console.print_line(
            f"Pictures: {pictures[PictureState.EMBEDDED]:,} embedded, "
            f"{pictures[PictureState.NEW]:,} waiting, {pictures[PictureState.UNUSABLE]:,} unusable. {space}"
        )
    if pictures[PictureState.UNUSABLE]:
        raise typer.Exit(1)
