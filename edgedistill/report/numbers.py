"""Numbers as the page and the terminal show them."""

from __future__ import annotations


def number(value: float | None, digits: int = 2) -> str:
    """With commas between thousands and so many decimals; `-` for None."""
    return "-" if value is None else f"{value:,.{digits}f}"


def milliseconds(value: float | None) -> str:
    """To three significant digits; `-` for None."""
    return "-" if value is None else f"{value:#.3g}".rstrip(".")
