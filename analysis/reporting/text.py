"""How numbers are written for people, and how shares are read."""

from __future__ import annotations

from fractions import Fraction
from math import isnan, log10

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}


def si(value: float, unit: str = "", digits: int = 3, *, padded: bool = False) -> str:
    """A number with a prefix, by default with three digits.

    Args:
        value: Any number.
        unit: Behind the prefix.
        digits: That are kept.
        padded: Whether zeros at the end are kept, too, as in a column of a table.

    Example:
        >>> si(0.00000123, "J"), si(8321), si(0), si(12), si(999.9)
        ('1.23 µJ', '8.32 k', '0', '12', '1 k')
        >>> si(0.526), si(0.526, "J")
        ('0.526', '526 mJ')
        >>> si(52000, padded=True)
        '52.0 k'
    """
    if value == 0 or isnan(value):
        return f"{value:g} {unit}".strip()
    value = float(f"{value:.{digits}g}")  # rounded first: 999.9 is 1 k
    prefix, exponent = prefix_of(value) if unit or abs(value) >= 1 else ("", 0)
    form = "#" if padded and not (exponent == 0 and not unit and value.is_integer()) else ""
    scaled = f"{value / 10**exponent:{form}.{digits}g}".rstrip(".")
    return f"{scaled} {prefix}{unit}".strip()


def prefix_of(value: float) -> tuple[str, int]:
    """The prefix a number is written with, and its power of ten.

    Example:
        >>> prefix_of(8321.0), prefix_of(0.0)
        (('k', 3), ('', 0))
    """
    exponent = 3 * int(log10(abs(value)) // 3) if value else 0
    exponent = min(max(exponent, -12), 12)
    return _PREFIXES[exponent], exponent


def joules(picojoules: float, digits: int = 3, *, padded: bool = False) -> str:
    """An energy given in picojoules.

    Example:
        >>> joules(4.6e6)
        '4.6 µJ'
    """
    return si(picojoules * 1e-12, "J", digits, padded=padded)


def parse_share(text: str) -> Fraction:
    """A share written as a number or in per cent.

    Raises:
        ValueError: If it is neither.

    Example:
        >>> parse_share("10%"), parse_share("0.1")
        (Fraction(1, 10), Fraction(1, 10))
    """
    try:
        return Fraction(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ZeroDivisionError as error:
        raise ValueError(text) from error
