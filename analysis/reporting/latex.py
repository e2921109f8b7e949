r"""Tables for papers: booktabs, one unit per column, and the paragraph with its citations.

They fit a page of two columns. Letters outside of Latin need an engine that knows them.

The file is made to be read by ``\input`` in a document that loads booktabs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from analysis.files import write_text
from analysis.reporting.method import Style, paragraph
from analysis.reporting.report import Report
from analysis.reporting.report_tables import (
    conventions_table,
    neurons_table,
    parts_table,
    sites_table,
    totals_table,
)
from analysis.reporting.sections import Section
from analysis.reporting.tables import As, AtLeast, Cell, Column, Row, Spread, Table, number
from analysis.reporting.text import prefix_of

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "µ": r"$\mu$", "±": r"$\pm$", "≥": r"$\geq$", "·": r"$\cdot$",
}  # fmt: skip
_COLUMN, _PAGE = 198.0, 405.0  # points: a column and the width of a page of two, in `article`
_PAGE_LINES = 46  # of rows, that a page has room for
_WORDS = 130.0  # points, of a column of words that stand in several lines
_GAP = 6.0  # points between two columns
_NARROW = dict.fromkeys("iljt.,:;|()[]'!/ ", 2.9) | dict.fromkeys("mwMWABCDEGHKNOQRUVXYZ+=", 6.6)
_DIGITS = 4  # of counts and energies, which share the unit of their column
_DECIMALS = {"integer": 0, "rate": 4, "fraction": 3, "ratio": 3, "percent": 2, "share": 2}


def escaped(text: str) -> str:
    r"""A text as LaTeX prints it.

    Example:
        >>> print(escaped("norm_1 & 5 µJ"))
        norm\_1 \& 5 $\mu$J
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def latex_tables(tables: Sequence[Table]) -> str:
    """Table environments, one or more for each table."""
    return "\n\n".join(map(latex_table, tables))


def latex_table(table: Table) -> str:
    """A table in one column of a page or, if it is wider, across both; a large one in parts.

    Numbers of a column share one unit, written below its heading. Words that only a wide table
    has room for are left out, and rows in which no number stands.
    """
    table = _for_paper(table)
    widths = [_width(table, place) for place in range(len(table.columns))]
    parts = [
        rows
        for part in table.in_parts(widths, _PAGE)
        for rows in _of_page_length(part, _PAGE_LINES)
    ]
    return "\n\n".join(
        _environment(part, number, len(parts)) for number, part in enumerate(parts, start=1)
    )


def _for_paper(table: Table) -> Table:
    numeric = [place for place, column in enumerate(table.columns) if column.numeric]
    told = tuple(
        row
        for row in table.rows
        if not numeric or any(number(row[place]) > float("-inf") for place in numeric)
    )
    kept = [n for n, column in enumerate(table.columns) if column.numeric or not column.roomy]
    return replace(table, rows=told).with_columns(kept)


def _of_page_length(table: Table, most: int) -> Iterator[Table]:
    wrapped = [place for place in range(len(table.columns)) if _wraps(table, place)]
    rows: list[Row] = []
    lines = 0
    for row in table.rows:
        own = max((_lines(str(row[place])) for place in wrapped), default=1)
        if rows and lines + own > most:
            yield replace(table, rows=tuple(rows))
            rows, lines = [], 0
        rows.append(row)
        lines += own
    yield replace(table, rows=tuple(rows))


def _lines(words: str) -> int:
    """That a text needs in a column of words, which are not broken just where they fill it."""
    return 1 + int(1.2 * _points(words) / _WORDS)


def _environment(table: Table, part: int, parts: int) -> str:
    places = range(len(table.columns))
    scales = [_scale(table, place) for place in places]
    wraps = [_wraps(table, place) for place in places]
    total = sum(_width(table, place) for place in places)
    kind = "table" if total <= _COLUMN else "table*"
    title = table.title if parts == 1 else f"{table.title} ({part} of {parts})"
    label = table.name if part == 1 else f"{table.name}-{part}"
    sides = "".join(
        f"p{{{_WORDS:g}pt}}" if wrapped else "r" if column.numeric else "l"
        for column, wrapped in zip(table.columns, wraps, strict=True)
    )
    lines = [
        rf"\begin{{{kind}}}", r"  \centering\footnotesize\setlength{\tabcolsep}{3pt}%",
        rf"  \caption{{{escaped(title)}.}}", rf"  \label{{tab:{label}}}",
        rf"  \begin{{tabular}}{{@{{}}{sides}@{{}}}}", r"    \toprule",
        *_heading(table, scales), r"    \midrule",
    ]  # fmt: skip
    end = r"\tabularnewline" if wraps[-1] else r"\\"  # \raggedright gives \\ another meaning
    for row in table.rows:
        cells = [
            _wrapped(str(cell)) if wrapped else _cell(cell, column, scale)
            for cell, column, scale, wrapped in zip(row, table.columns, scales, wraps, strict=True)
        ]
        lines.append(f"    {' & '.join(cells)} {end}")
    lines += [r"    \bottomrule", r"  \end{tabular}", rf"\end{{{kind}}}"]
    return "\n".join(lines)


def _wraps(table: Table, place: int) -> bool:
    """Whether the words of a column need more than one line."""
    words = (str(row[place]) for row in table.rows)
    return not table.columns[place].numeric and max(map(_points, words), default=0) > _WORDS


def _wrapped(words: str) -> str:
    """Words in lines; a long one may be broken behind a point, a stroke, or at last anywhere."""
    pieces = re.findall(r"[^./_\- ]{1,12}[./_\-]*| +|.", words)
    text = "".join(escaped(p) if p.isspace() else escaped(p) + r"\allowbreak{}" for p in pieces)
    return rf"\raggedright {text}"


def _width(table: Table, place: int) -> float:
    """Points that a column takes, with the space to the next one; estimated, a little too much."""
    column, scale = table.columns[place], _scale(table, place)
    if _wraps(table, place):
        return _WORDS + _GAP
    cells = (_cell(row[place], column, scale) for row in table.rows)
    told = (escaped(column.heading), _unit(column, scale), *cells)
    return max(map(_points, told)) + _GAP


def _points(latex: str) -> float:
    """Width of a line at the size of footnotes."""
    plain = re.sub(r"\\[a-zA-Z]+(\{\})?", "M", latex)
    return sum(_NARROW.get(letter, 4.3) for letter in plain if letter not in "$\\{}")


def _scale(table: Table, place: int) -> tuple[str, float]:
    """Prefix and factor of a column, from its largest number."""
    kind = table.columns[place].kind
    if kind not in ("count", "joules"):
        return "", 1.0
    unit = 1e-12 if kind == "joules" else 1.0
    largest = max((number(row[place]) for row in table.rows), default=0.0)
    prefix, exponent = prefix_of(max(largest, 0.0) * unit)
    return prefix, unit / 10.0**exponent


def _heading(table: Table, scales: Sequence[tuple[str, float]]) -> Iterator[str]:
    """The headings, and a line of units where there are any."""
    units = [_unit(column, scale) for column, scale in zip(table.columns, scales, strict=True)]
    yield f"    {' & '.join(escaped(column.heading) for column in table.columns)} \\\\"
    if any(units):
        yield f"    {' & '.join(units)} \\\\"


def _unit(column: Column, scale: tuple[str, float]) -> str:
    if column.kind == "joules":
        return f"({escaped(scale[0])}J)"
    if column.kind == "count" and scale[0]:
        return f"({escaped(scale[0])})"
    return "(\\%)" if column.kind in ("percent", "share") else ""


def _cell(cell: Cell, column: Column, scale: tuple[str, float]) -> str:
    if isinstance(cell, AtLeast):
        return rf"$\geq$ {_cell(cell.value, column, scale)}"
    if isinstance(cell, Spread):
        mean = _cell(cell.value, column, scale)
        if "times" in mean:  # too small for its column: both with their own powers
            return rf"{mean} $\pm$ {_cell(cell.deviation, column, scale)}"
        decimals = len(mean.partition(".")[2])
        return rf"{mean} $\pm$ {cell.deviation * _factor(column, scale):.{decimals}f}"
    if isinstance(cell, As):
        one = Table(name="", title="", columns=(replace(column, kind=cell.kind),), rows=((cell,),))
        prefix, factor = _scale(one, 0)
        unit = {"joules": f" {prefix}J", "percent": " %"}.get(cell.kind, f" {prefix}".rstrip())
        return _cell(cell.value, one.columns[0], ("", factor)) + escaped(unit)
    if isinstance(cell, str) or not column.numeric:
        return escaped(str(cell or ""))
    if number(cell) == float("-inf"):
        return ""
    return _number(number(cell) * _factor(column, scale), column)


def _factor(column: Column, scale: tuple[str, float]) -> float:
    return 100.0 if column.kind in ("percent", "share") else scale[1]


def _number(value: float, column: Column) -> str:
    decimals = _DECIMALS.get(column.kind)
    if decimals is not None:
        return f"{value:.{decimals}f}"
    plain = f"{value:.{_DIGITS}g}" if value == int(value) else f"{value:#.{_DIGITS}g}"
    mantissa, mark, exponent = plain.partition("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$" if mark else plain


def latex(report: Report, more: Sequence[Section] = ()) -> str:
    """The tables and the paragraph of a report, and the tables of further sections."""
    return "\n\n".join(_blocks(report, more)) + "\n"


def _blocks(report: Report, more: Sequence[Section]) -> Iterator[str]:
    yield (
        "% Made by gac-energy. In the preamble: \\usepackage{booktabs}.\n"
        "% The citations stand in references.bib beside this file."
    )
    yield latex_paragraph(report)
    yield latex_tables(
        [
            totals_table(report),
            conventions_table(report),
            parts_table(report),
            sites_table(report),
            neurons_table(report),
            *(table for section in more for table in section.tables),
        ]
    )


def latex_paragraph(report: Report) -> str:
    """The paragraph "how energy was computed", formulas and citations in LaTeX."""
    kept: list[str] = []

    def keep(latex: str) -> str:
        kept.append(latex)
        return f"\0{len(kept) - 1}\0"  # taken out of the text before it is escaped

    style = Style(
        cite=lambda keys: keep(rf"~\cite{{{','.join(keys)}}}") if keys else "",
        math=lambda _plain, formula: keep(f"${formula}$"),
    )
    pieces = paragraph(report, style).split("\0")
    return "".join(
        kept[int(piece)] if place % 2 else escaped(piece) for place, piece in enumerate(pieces)
    )


def write_latex(report: Report, path: Path, more: Sequence[Section] = ()) -> None:
    """Writes the tables and the paragraph.

    Raises:
        InputError: If the file can't be written; an old one then stays as it was.
    """
    write_text(path, latex(report, more))
