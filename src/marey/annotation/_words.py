"""Labels as they can stand in one line."""


def one_line(label: str) -> str:
    """Return a label with its white space single, and other odd characters spelt out."""
    words = " ".join(label.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
