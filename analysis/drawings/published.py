"""Published rows on the accuracy-energy plane, with the conventions they were counted under."""

from __future__ import annotations

from typing import Any

from analysis.drawings.drawing import COLOURS, MARKERS, Drawing, drawn
from analysis.energy.published import published

_FAR_MJ = 30  # energies at the right end, whose names stand to the left
_FAMILY = r"^(.*?)[\s/-]*\d[\d-]*(?: at .*)?(?:, .*)?$"  # what stands before the size


def published_plane() -> Drawing:
    """Top-1 on ImageNet against the printed energy of every published row that has both."""
    frame = published().query("top1.notna() and printed_mj.notna()").copy()
    frame["family"] = frame.row.str.replace(_FAMILY, r"\1", regex=True)
    styles = dict(zip(frame.convention.unique(), zip(COLOURS, MARKERS, strict=True), strict=False))
    with drawn(size=(7.2, 5.2)) as panels:
        panel = panels[0, 0]
        for counted, rows in frame.groupby("convention", sort=False):
            colour, marker = styles[str(counted)]
            panel.plot(
                rows.printed_mj, rows.top1, marker, color=colour, label=counted, markersize=6
            )
        for family, rows in frame.groupby("family", sort=False):
            _name(panel, str(family), rows.sort_values("top1").iloc[-1])
        panel.set(
            xscale="log", xlabel="printed energy per image, mJ (log scale)",
            ylabel="ImageNet top-1, %",
        )  # fmt: skip
        panel.xaxis.set_major_formatter("{x:g}")
        panel.figure.legend(title="counted as", loc="outside lower left", alignment="left")
    return Drawing(
        name="published-plane",
        figure=panel.figure,
        caption="Published rows as printed, each family named at its most accurate row. Colour and "
        "mark say how each was counted: energies of different conventions do not compare, and what "
        "the energies of GAC contain is not known.",
        data=frame[["source", "row", "steps", "top1", "printed_mj", "convention"]],
    )


def _name(panel: Any, family: str, row: Any) -> None:
    """The name of a family at one of its rows; left of it where the right end is near."""
    left = row.printed_mj > _FAR_MJ
    panel.annotate(
        family, (row.printed_mj, row.top1), xytext=(-6 if left else 6, 3),
        textcoords="offset points", ha="right" if left else "left", fontsize=7,
        color="#333333", fontweight="bold" if "GAC" in family else "normal",
    )  # fmt: skip
