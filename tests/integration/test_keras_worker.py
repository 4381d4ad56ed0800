"""A worker that runs the Keras model, as a GPU worker does."""

from pathlib import Path

import pytest

from returns_pipeline.host.embedded import Processes
from returns_pipeline.settings import load_settings
from returns_pipeline.store.database import Database
from tests.support import SAMPLES, Installation


@pytest.mark.slow
def test_a_keras_worker_gives_the_same_labels(tmp_path: Path) -> None:
    """With RETURNS_RUNTIME=keras a run has OpenVINO's labels and nearly its probabilities.

    The Keras run also uses threads that decode ahead of the model.
    """
    predictions = []
    for runtime, threads in (("openvino", 0), ("keras", 4)):
        settings = load_settings(
            home=tmp_path / runtime,
            runtime=runtime,
            decode_threads=threads,
            settle_seconds=0,
            worker_processes=1,
        )
        database = Database(settings.database_url)
        database.upgrade()
        home = Installation(settings, database)
        with Processes(settings) as processes:
            processes.start_redis()
            processes.start_workers()
            run = home.json("classify", str(SAMPLES), "--wait")
            images = home.json("images", "list", "--run", str(run["id"]), "--state", "classified")
        database.close()
        predictions.append({image["path"]: (image["label"], image["probability"]) for image in images})
    first, second = predictions
    assert len(first) == 300
    assert {path: label for path, (label, _) in first.items()} == {
        path: label for path, (label, _) in second.items()
    }
    assert max(abs(first[path][1] - second[path][1]) for path in first) < 1e-3
