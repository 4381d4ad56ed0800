"""`returns-pipeline recommendations`: what is recommended, what it learns from, and how good it is."""

from pathlib import Path
from typing import Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_database, open_installation
from returns_pipeline.cli.options import Json

app = typer.Typer(help="Recommendations: learn from events, and measure.", no_args_is_help=True)


@app.command("show")
def show(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="The shop's id of a product.")],
    similar: Annotated[
        bool, typer.Option("--similar", help="Products like it, at any price, instead of substitutes.")
    ] = False,
    customer: Annotated[
        str | None, typer.Option(help="Take the taste of this customer into account.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many at most.")] = 5,
    as_json: Json = False,
) -> None:
    """Show what is recommended instead of a product, with the reasons."""
    from returns_pipeline.records.recommendations import RecommendationKind
    from returns_pipeline.report import recommendation_words as words
    from returns_pipeline.terminal import Terminal, plain_table
    from returns_pipeline.usecases.product_search import ProductSearch
    from returns_pipeline.usecases.recommendations import for_product

    kind = RecommendationKind.SIMILAR if similar else RecommendationKind.SUBSTITUTES
    settings, database = open_installation()
    found = for_product(ProductSearch(settings, database), database, product, kind, limit, customer)
    if as_json:
        items = [
            {
                "product": each.product.product_id,
                "title": each.product.title,
                "score": round(each.score, 6),
                "parts": {part.part: round(part.value * part.weight, 6) for part in each.parts},
                "reasons": words.reasons(each),
            }
            for each in found.products
        ]
        console.print_json({"kind": kind, "products": items, "missing": list(found.missing)})
        return
    if not found.products:
        console.print_line("No product can be recommended.")
        return
    table = plain_table()
    for heading in ("product", "title", "price", "score", "reasons"):
        table.add_column(heading, overflow="fold")
    for each in found.products:
        price = "" if each.product.price is None else f"{each.product.price:,} {each.product.currency or ''}"
        reasons = ", ".join(words.reasons(each))
        table.add_row(each.product.product_id, each.product.title or "", price, f"{each.score:.3f}", reasons)
    Terminal().print_table(table)
    if note := words.missing(found):
        console.print_note(note)


@app.command("learn")
def learn() -> None:
    """Compute anew which products the same customers keep. Each night does so with enough events."""
    from returns_pipeline.report.words import counted
    from returns_pipeline.usecases import learning

    count = learning.learn(open_database())
    console.print_line(f"{counted(count, 'product')} with products that the same customers keep.")


@app.command("evaluate")
def evaluate(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A file of events. Default: all stored events.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Leave out what each customer kept last, and measure whether it is recommended.

    Compares the customers' taste with the most popular products and with chance.
    """
    from returns_pipeline.report.words import counted
    from returns_pipeline.terminal import Terminal, plain_table
    from returns_pipeline.usecases import events

    found, refused = (events.evaluate(open_database()), 0) if file is None else events.evaluate_file(file)
    names = {"recall": "recall_at_10", "ndcg": "ndcg_at_10", "coverage": "coverage"}
    if as_json:
        qualities = {
            name: {names[field]: value for field, value in each._asdict().items()}
            for name, each in found.qualities.items()
        }
        console.print_json({**found._asdict(), "qualities": qualities, "refused": refused})
        return
    console.print_line(
        f"{counted(found.customers, 'customer')} with two products or more, "
        f"{counted(found.products, 'product')}, {counted(found.events, 'event')}; {refused:,} refused."
    )
    table = plain_table()
    for heading in ("recommender", "recall@10", "NDCG@10", "coverage"):
        table.add_column(heading, justify="left" if heading == "recommender" else "right")
    for name, each in found.qualities.items():
        table.add_row(name, f"{each.recall:.1%}", f"{each.ndcg:.3f}", f"{each.coverage:.1%}")
    Terminal().print_table(table)
