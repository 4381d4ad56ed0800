"""Text of the world outside, as it can be shown and sent."""


def printable(text: str) -> str:
    """Return text with control characters and broken bytes as escapes."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
