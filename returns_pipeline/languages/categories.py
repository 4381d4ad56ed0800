"""The names of categories in the language that is spoken. A label is the id; its name is only shown."""

from returns_pipeline.languages.current import current, names_now


def category(label: object) -> str:
    """Return the name of a label; the label itself if its bundle has no name in this language."""
    text = str(label)
    return names_now().get(current(), {}).get(text, text)


def category_names(label: str) -> set[str]:
    """Return a label and its names in every language: a search accepts each."""
    return {label, *(names[label] for names in names_now().values() if label in names)}
