"""Names of categories in other languages: the file that a training takes, and what is refused."""

import json
from pathlib import Path
from typing import Any, Never

import pytest

from returns_pipeline.errors import RefusedError
from returns_pipeline.training.labelled.category_names import read_names, require_labels
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.pipeline.recipe import Request
from returns_pipeline.training.pipeline.train import train

LABELS = Labels(("skirt", "hat"), ("bottom", "head"))


def test_labels_and_main_categories_have_names(tmp_path: Path) -> None:
    """A name may be missing, and every language of a file is kept."""
    names = {"de": {"skirt": "Rock", "head": "Kopfbedeckung"}, "fr": {"hat": "chapeau"}}
    path = tmp_path / "names.json"
    path.write_text(json.dumps(names))
    assert read_names(path) == names
    require_labels(names, LABELS)
    require_labels({}, LABELS)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[]", "not a JSON object"),
        ("{", "Expecting"),
        ('{"de": {"hat": 1}}', "de.hat"),
        ('{"de": "Hut"}', "the field `de`"),
        ('{"German": {}}', "German"),
        ('{"de": {"hat": "a\\u202eb"}}', "de.hat"),
        ('{"de": {"hat": "Hut", "hat": "Mütze"}}', "twice"),
        ('{"de": {"hat": "%s"}}' % ("x" * 101), "100"),
        (None, "No such file"),
    ],
)
def test_another_file_is_refused_with_its_first_fault(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    """The sentence names the file and the field, and the advice shows the form."""
    path = tmp_path / "names.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RefusedError) as refused:
        read_names(path)
    assert reason in refused.value.message
    assert str(path) in refused.value.message
    assert '{"de": {"Bag": "Tasche"}}' in refused.value.advice


def test_a_name_of_no_category_ends_a_training_before_it_begins(tmp_path: Path) -> None:
    """The photos decide which labels there are; a name of another one is a slip of the pen."""

    class Data:
        labels = LABELS

    class Recipe:
        def load(self, *_: object) -> Any:
            return Data()

        def fit(self, *_: object) -> Never:
            pytest.fail("the training has begun")

    request = Request("shop", tmp_path, "train", names={"de": {"skirt": "Rock", "Hat": "Hut"}})
    with pytest.raises(
        RefusedError, match="no category 'Hat', which has a name in the language de"
    ) as refused:
        train(request, Recipe(), None)  # type: ignore[arg-type]
    assert "The categories are: bottom, hat, head, skirt." in refused.value.advice
    assert list(tmp_path.iterdir()) == []
