"""How fast products are recommended: `python -m benchmarks.recommendations [--products N] [--json]`.

Fills a catalogue of N products with vectors, an index of them, events and neighbours, by SQL, in both
databases, and prints the milliseconds of questions of each kind. A catalogue of few, large categories:
`--categories 8`.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from returns_pipeline.classify.spaces.space import find_space
from returns_pipeline.records.recommendations import RecommendationKind
from returns_pipeline.settings import Settings, settings_of_home
from returns_pipeline.store import bulk
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import (
    embedding_spaces,
    events,
    product_images,
    product_neighbours,
    product_vectors,
    products,
)
from returns_pipeline.usecases import recommendations
from returns_pipeline.usecases.product_search import ProductSearch, refresh_index
from tests.databases import empty_database, postgres_server

#: Milliseconds that half of the questions may take at 100,000 products.
GOAL_MS = 30.0
_CATEGORIES, _SPACE, _CUSTOMERS, _NEIGHBOURS = 140, "products", 10_000, 5
_COLOURS = ("Black", "White", "Navy Blue", "Blue", "Red", "Green", "Grey", "Brown", "Pink")
_BRANDS, _QUESTIONS, _TOGETHER = 300, 100, 10_000
_COLUMNS = (
    *("id", "product_id", "title", "brand", "category", "price", "currency", "rating", "ratings", "stock"),
    *("description", "attributes", "digest", "created_at", "changed_at"),
)


def fill(settings: Settings, database: Database, count: int, categories: int) -> None:
    """Write products with four attributes, a vector and five neighbours each, and 20 events a customer."""
    chance = np.random.default_rng(15)
    space = find_space(settings.spaces_dir, _SPACE)
    ref, dimensions = space.ref, space.dimensions
    with database.write() as connection:
        now = bulk.moment(connection, utc_now())
        bulk.insert(
            connection,
            embedding_spaces,
            ("id", "name", "version", "dimensions", "metric", "digest", "state", "created_at"),
            [(1, ref.name, ref.version, dimensions, "cosine", space.digest, "active", now)],
        )
    for start in range(1, count + 1, _TOGETHER):
        numbers = range(start, min(start + _TOGETHER, count + 1))
        prices = chance.lognormal(7.5, 0.6, len(numbers)).astype(int) + 100
        looks = chance.integers(-127, 128, (len(numbers), dimensions)).astype(np.int8)
        with database.write() as connection:
            bulk.insert(
                connection,
                products,
                _COLUMNS,
                [
                    (*_product(n, int(price), n % categories), b"x", now, now)
                    for n, price in zip(numbers, prices, strict=True)
                ],
            )
            bulk.insert(
                connection,
                product_images,
                ("id", "product", "position", "address", "state"),
                [(n, n, 0, f"{n}.jpg", "embedded") for n in numbers],
            )
            bulk.insert(
                connection,
                product_vectors,
                ("space_id", "product_image_id", "vector"),
                [(1, n, look.tobytes()) for n, look in zip(numbers, looks, strict=True)],
            )
            others = chance.integers(1, count + 1, (len(numbers), _NEIGHBOURS))
            bulk.insert(
                connection,
                product_neighbours,
                ("product", "neighbour", "similarity"),
                [(f"P{n}", f"P{o}", 0.5) for n, row in zip(numbers, others, strict=True) for o in set(row)],
            )
    with database.write() as connection:
        kept = chance.integers(1, count + 1, (_CUSTOMERS, 20))
        bulk.insert(
            connection,
            events,
            ("customer", "at", "product", "kind"),
            [
                (f"K{n}", now, f"P{product}", "returned" if place % 4 == 3 else "kept")
                for n, row in enumerate(kept)
                for place, product in enumerate(row)
            ],
        )
    if not database.is_sqlite:
        with database.write() as connection:
            connection.exec_driver_sql("ANALYZE")
    refresh_index(settings, database)


def _product(n: int, price: int, category: int) -> tuple[Any, ...]:
    attributes = {
        "article type": f"Type {category}",
        "colour": _COLOURS[n * 7 % len(_COLOURS)],
        "gender": ("Women", "Men", "Unisex")[n * 13 % 3],
        "season": ("Summer", "Winter", "Fall", "Spring")[n % 4],
    }
    title = f"{attributes['colour']} article {n % 977} of type {category}"
    return (
        *(n, f"P{n}", title, f"Brand {n * 31 % _BRANDS}", f"Shop/Group {category % 12}/Type {category}"),
        *(price, "EUR", 2 + n % 31 / 10, n % 400, n % 20, f"{title}. " * 10, json.dumps(attributes)),
    )


def milliseconds(ask: Callable[[int], object], count: int) -> dict[str, float]:
    """Return the median and the 99th percentile of questions about different products.

    `cpu` is the median of this process' own time, which other processes on the machine disturb less.
    """
    taken, busy = [], []
    for number in range(_QUESTIONS + 10):
        began, cpu = time.perf_counter(), time.process_time()
        ask(1 + number * 7919 % count)
        taken.append((time.perf_counter() - began) * 1000)
        busy.append((time.process_time() - cpu) * 1000)
    taken, busy = taken[10:], busy[10:]  # the first ones open connections and fill caches
    p99 = statistics.quantiles(taken, n=100)[98]
    found = {"p50": statistics.median(taken), "p99": p99, "cpu": statistics.median(busy)}
    return {name: round(value, 1) for name, value in found.items()}


def measure(settings: Settings, database: Database, count: int) -> dict[str, dict[str, float]]:
    """Return the milliseconds of each kind of question."""
    substitutes, similar = RecommendationKind.SUBSTITUTES, RecommendationKind.SIMILAR
    search = ProductSearch(settings, database)

    def instead(n: int, kind: RecommendationKind, customer: str | None = None) -> object:
        return recommendations.for_product(search, database, f"P{n}", kind, 5, customer)

    return {
        "substitutes": milliseconds(lambda n: instead(n, substitutes), count),
        "similar": milliseconds(lambda n: instead(n, similar), count),
        "with taste": milliseconds(lambda n: instead(n, substitutes, f"K{n % _CUSTOMERS}"), count),
        "customer": milliseconds(
            lambda n: recommendations.for_customer(database, f"K{n % _CUSTOMERS}", similar, 5), count
        ),
    }


def main() -> None:
    """Measure both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--categories", type=int, default=_CATEGORIES)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="returns-bench-") as name, postgres_server() as server:
        for kind in ("sqlite", "postgresql"):
            with empty_database(kind, Path(name), lambda: server) as url:
                database = Database(url)
                database.upgrade()
                settings = settings_of_home(Path(name), database_url=url, log_level="ERROR")
                fill(settings, database, arguments.products, arguments.categories)
                found[kind] = measure(settings, database, arguments.products)
                database.close()
    if arguments.json:
        print(json.dumps({"products": arguments.products, "goal_ms": GOAL_MS, **found}))
        return
    print(f"{arguments.products:,} products; goal: p50 below {GOAL_MS:.0f} ms")
    for kind, questions in found.items():
        for question, each in questions.items():
            line = "   ".join(f"{name} {value:>6.1f} ms" for name, value in each.items())
            print(f"{kind:<11} {question:<12} {line}")


if __name__ == "__main__":
    main()
