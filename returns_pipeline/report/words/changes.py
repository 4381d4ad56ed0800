"""What of a night is not as usual, in sentences."""

from returns_pipeline.languages import category, gettext, short
from returns_pipeline.records.mixes import BOUNDS, Property


def change(name: str, key: str, share: float, usual: float) -> str:
    """Return a sentence about a property; the fields are those of `records.mixes.Change`.

    A property that a newer version of this program compares has its own name.
    """
    about: dict[str, object] = {"share": share, "usual": usual}
    if name not in list(Property):
        return gettext("{name}: {share:.1%}, usually {usual:.1%}.", name=name, **about)
    found = Property(name)
    bound = BOUNDS[found][int(key) - 1] if found in BOUNDS else 0.0
    match found:
        case Property.CATEGORY:
            return gettext(
                "Category {category}: {share:.1%} of the photos, usually {usual:.1%}.",
                category=category(key),
                **about,
            )
        case Property.CONFIDENCE:
            return gettext(
                "Photos with a probability below {bound:.0%}: {share:.1%}, usually {usual:.1%}.",
                bound=bound,
                **about,
            )
        case Property.FAMILIARITY:
            return gettext(
                "Photos that are stranger than {bound:.0%} of those that the model was checked with: "
                "{share:.1%}, usually {usual:.1%}.",
                bound=1 - bound,
                **about,
            )
        case Property.BRIGHTNESS:
            return gettext(
                "Dark photos, with less than {bound:.0%} of the full brightness: {share:.1%}, usually "
                "{usual:.1%}.",
                bound=bound / 256,
                **about,
            )
        case Property.PIXELS:
            return gettext(
                "Photos of less than {bound} megapixels: {share:.1%}, usually {usual:.1%}.",
                bound=short(bound / 1e6),
                **about,
            )
        case Property.FILE_SIZE:
            return gettext(
                "Files of less than {bound} kB: {share:.1%}, usually {usual:.1%}.",
                bound=short(bound / 1e3),
                **about,
            )
        case Property.FORMAT:
            return gettext(
                "Photos in the format {name}: {share:.1%}, usually {usual:.1%}.", name=key, **about
            )
