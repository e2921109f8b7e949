r"""Tables for papers: booktabs, one unit per column, and the paragraph with its citations.

The file is made to be read by ``\input`` in a document that loads booktabs.
"""

from __future__ import annotations

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
from analysis.reporting.tables import As, AtLeast, Cell, Column, Spread, Table, number
from analysis.reporting.text import prefix_of

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "µ": r"$\mu$", "±": r"$\pm$", "≥": r"$\geq$", "·": r"$\cdot$",
}  # fmt: skip
_DIGITS = 4  # of counts and energies, which share the unit of their column
_DECIMALS = {"integer": 0, "rate": 4, "fraction": 3, "ratio": 3, "percent": 2, "share": 2}


def escaped(text: str) -> str:
    r"""A text as LaTeX prints it.

    Example:
        >>> print(escaped("norm_1 & 5 µJ"))
        norm\_1 \& 5 $\mu$J
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def latex_table(table: Table) -> str:
    """A table environment; numbers of a column share one unit, written in its heading."""
    scales = [_scale(table, place) for place in range(len(table.columns))]
    sides = "".join("r" if column.numeric else "l" for column in table.columns)
    heads = [_heading(c, scale) for c, scale in zip(table.columns, scales, strict=True)]
    lines = [
        r"\begin{table}", r"  \centering", rf"  \caption{{{escaped(table.title)}.}}",
        rf"  \label{{tab:{table.name}}}", rf"  \begin{{tabular}}{{{sides}}}", r"    \toprule",
        f"    {' & '.join(heads)} \\\\", r"    \midrule",
    ]  # fmt: skip
    for row in table.rows:
        cells = [
            _cell(cell, column, scale)
            for cell, column, scale in zip(row, table.columns, scales, strict=True)
        ]
        lines.append(f"    {' & '.join(cells)} \\\\")
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(lines)


def _scale(table: Table, place: int) -> tuple[str, float]:
    """Prefix and factor of a column, from its largest number."""
    kind = table.columns[place].kind
    if kind not in ("count", "joules"):
        return "", 1.0
    unit = 1e-12 if kind == "joules" else 1.0
    largest = max((number(row[place]) for row in table.rows), default=0.0)
    prefix, exponent = prefix_of(max(largest, 0.0) * unit)
    return prefix, unit / 10.0**exponent


def _heading(column: Column, scale: tuple[str, float]) -> str:
    text = escaped(column.heading)
    if column.kind == "joules":
        return f"{text} ({escaped(scale[0])}J)"
    if column.kind == "count" and scale[0]:
        return f"{text} ({escaped(scale[0])})"
    return f"{text} (\\%)" if column.kind in ("percent", "share") else text


def _cell(cell: Cell, column: Column, scale: tuple[str, float]) -> str:
    if isinstance(cell, AtLeast):
        return rf"$\geq$ {_cell(cell.value, column, scale)}"
    if isinstance(cell, Spread):
        ends = (_cell(value, column, scale) for value in (cell.value, cell.deviation))
        return r" $\pm$ ".join(ends)
    if isinstance(cell, As):
        one = Table(name="", title="", columns=(replace(column, kind=cell.kind),), rows=((cell,),))
        prefix, factor = _scale(one, 0)
        unit = {"joules": f" {prefix}J", "percent": " %"}.get(cell.kind, f" {prefix}".rstrip())
        return _cell(cell.value, one.columns[0], ("", factor)) + escaped(unit)
    if isinstance(cell, str) or not column.numeric:
        return escaped(str(cell or ""))
    if number(cell) == float("-inf"):
        return ""
    factor = 100.0 if column.kind in ("percent", "share") else scale[1]
    return _number(number(cell) * factor, column)


def _number(value: float, column: Column) -> str:
    decimals = _DECIMALS.get(column.kind)
    if decimals is not None:
        return f"{value:.{decimals}f}"
    plain = f"{value:.{_DIGITS}g}"
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
    for table in (
        totals_table(report),
        conventions_table(report),
        parts_table(report),
        sites_table(report),
        neurons_table(report),
        *(table for section in more for table in section.tables),
    ):
        yield latex_table(table)


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
