"""Formats of numbers in reports."""

import math


def number(value: float) -> str:
    """Write a value with three decimals and without the leading zero; a dash when it is NaN."""
    if math.isnan(value):
        return "-"
    text = f"{abs(value):.3f}"
    sign = "-" if value < 0 and float(text) else ""
    return sign + text.removeprefix("0")


def signed(value: float) -> str:
    """Write a difference as `number` does, with its sign, also where it rounds to nothing."""
    if math.isnan(value):
        return "-"
    return ("-" if value < 0 else "+") + number(abs(value))


def share(value: float) -> str:
    """Write a share in percent; a dash when it is NaN."""
    if math.isnan(value):
        return "-"
    percent = 100 * value
    return f"{percent:.0f}%" if percent in (0, 100) else f"{percent:.1f}%"


def plain(value: float) -> str:
    """Write a number with about three figures; a dash when it is NaN."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
