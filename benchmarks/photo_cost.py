"""`python -m benchmarks.photo_cost FOLDER`: what a photo costs a core, in float32 and in int8.

Three ways take turns in one process, so that another load of the machine changes all of them alike, and CPU
time is measured. The pipeline's part is reading, decoding and predicting, without rows, messages and moves.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks import machine
from benchmarks.data.photos import copy_photos
from benchmarks.systems.raw import Loop
from benchmarks.workloads import float32_of
from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier
from returns_pipeline.photos.decoding.batches import Decoder
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.records.images import PendingImage
from returns_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable


def photo_cost(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder tree of .jpg photos.")],
    model: Annotated[str, typer.Option(help="A model in int8.")] = "clothing",
    photos: Annotated[int, typer.Option(min=1, help="Photos, spread over the folder.")] = 48,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each way takes its turn.")] = 7,
) -> None:
    """Measure the CPU time of a photo."""
    settings, source = load_settings(), FolderSource()
    bundle = find_bundle(settings.models_dir, model)
    with tempfile.TemporaryDirectory(prefix="returns-bench-") as temporary:
        work, copies = Path(temporary), Path(temporary) / "photos"
        copy_photos(folder, copies, photos)
        names = sorted(path.name for path in copies.iterdir())
        found = [source.describe(str(copies / name)) for name in names]
        images = [PendingImage(number, f.path, f.size, f.identity) for number, f in enumerate(found)]
        in_float32, in_int8 = Loop(float32_of(bundle), copies), Loop(bundle, copies)
        classifier = OpenVINOClassifier(bundle)

        def pipeline(_table: str) -> None:
            decoder = Decoder(source, bundle.input, Limits.of(settings), settings.image_seconds)
            for batch in decoder.batches(images, classifier.batch, 0, lambda: None):
                classifier.predict(batch.pixels)

        ways: dict[str, Callable[[str], None]] = {
            "bare loop in float32": lambda table: in_float32.classify(names, table),
            "bare loop in int8": lambda table: in_int8.classify(names, table),
            "pipeline in int8: read, decode, predict": pipeline,
        }
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds):
            for number, (name, way) in enumerate(ways.items()):
                began = time.process_time()
                way(str(work / f"{turn}-{number}.sqlite3"))
                spent[name].append(1000 * (time.process_time() - began) / len(names))
    print(machine.as_line(machine.describe()))
    for name, each in spent.items():
        print(f"{name}: {min(each):.2f} ms of a core for a photo, median {statistics.median(each):.2f}")


if __name__ == "__main__":
    typer.run(photo_cost)
