"""The figures of an evaluation: their names, headings and explanations. Needs no package of the training."""

from typing import NamedTuple

from returns_pipeline.languages import N_


class Explanation(NamedTuple):
    """The heading of a figure, and what it shows; empty if the heading says all."""

    heading: str
    text: str


#: The heading and the explanation of each figure, in the order of the page.
EXPLANATIONS = {
    "confusion-matrix": Explanation(
        N_("Confusion matrix"),
        N_(
            "Each row is a true label, each column a predicted label. Correct predictions are on "
            "the diagonal."
        ),
    ),
    "scores": Explanation(
        N_("Scores of each label"),
        N_(
            "Precision: the share of the images predicted as this label that have it. Recall: the "
            "share of the images with this label that are predicted as it. F1 is the harmonic "
            "mean of the two."
        ),
    ),
    "reliability": Explanation(
        N_("Are the probabilities reliable?"),
        N_(
            "Of a hundred predictions with a probability of 80 %, about eighty should be correct. "
            "Then the points are on the dashed line. The expected calibration error (ECE) is the "
            "distance from that line, averaged over all images. A hollow point stands for fewer "
            "than ten images."
        ),
    ),
    "coverage": Explanation(
        N_("What a review achieves"),
        N_(
            "The model decides only the images with the highest probabilities; people review the "
            "others. The fewer images the model decides, the more of its predictions are correct."
        ),
    ),
    "mistakes": Explanation(
        N_("Mistakes with the highest probabilities"),
        N_("Some of these images may have a wrong true label."),
    ),
    "predictions": Explanation(
        N_("Random images"),
        N_("Green titles are correct predictions, red titles are mistakes."),
    ),
    "label-distribution": Explanation(
        N_("Number of images"),
        N_("The number of images of each label."),
    ),
    "training-images": Explanation(
        N_("Random training images"),
        "",
    ),
    "curves": Explanation(
        N_("Training history"),
        N_("Accuracy and loss after each epoch, one pass over the training images."),
    ),
}
#: Figures with photos: their colours stay as they are on a dark page.
PHOTOS = {"mistakes", "predictions", "training-images"}
