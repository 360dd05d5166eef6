"""File names as they can be shown."""


def printable(text: str) -> str:
    """Return the text with characters that could upset a terminal spelt out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
