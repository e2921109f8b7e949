"""What every drawing is: a figure in one style, its caption and the numbers it shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.errors import InputError
from analysis.files import make_folder

if TYPE_CHECKING:
    import pandas as pd

# Okabe and Ito's colours, which the colour-blind tell apart (jfly.uni-koeln.de/color).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
QUIET = "#7a7a7a"  # of what is beside the point: grids, intervals

_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "gac-energy",  # the same drawing is the same file
    "svg.fonttype": "none",
}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure with its words and its numbers.

    Attributes:
        name: Of its files.
        figure: A figure of matplotlib.
        caption: One or two sentences: what it shows and how to read it.
        data: The numbers it shows, one row per mark.
    """

    name: str
    figure: Figure
    caption: str
    data: pd.DataFrame

    def save(self, folder: str | Path) -> Drawing:
        """Writes ``name.svg``, ``name.png`` and ``name.csv``, with the caption in the pictures.

        Raises:
            InputError: If they can't be written.
        """
        stem = Path(folder) / self.name
        make_folder(stem.parent)
        words = {"Title": self.name, "Description": self.caption}
        try:
            with rc_context(_STYLE):
                self.figure.savefig(f"{stem}.svg", metadata={**words, "Date": None})
                self.figure.savefig(f"{stem}.png", metadata=words, dpi=150)
            self.data.to_csv(f"{stem}.csv", index=False, float_format="%.6g")
        except OSError as error:
            raise InputError(f"can't write {stem}: {error.strerror}") from error
        return self

    def show(self, folder: str | Path) -> None:
        """Saves it, and shows picture and caption in a notebook."""
        from IPython.display import Image, Markdown, display

        self.save(folder)
        picture = Image(filename=f"{Path(folder) / self.name}.png", width=self._width())
        display(picture, Markdown(f"*{self.caption}*"))

    def _width(self) -> int:
        return round(96 * float(self.figure.get_figwidth()))


@contextmanager
def drawn(rows: int = 1, columns: int = 1, *, size: tuple[float, float]) -> Iterator[Any]:
    """Panels of a new figure in the style of all, as an array ``(rows, columns)``.

    Args:
        rows: Of panels.
        columns: Of panels.
        size: Width and height in inches.

    Example:
        >>> with drawn(size=(4, 3)) as panels:
        ...     _ = panels[0, 0].plot([1, 2], color=COLOURS[0])
        >>> float(panels[0, 0].figure.get_figwidth())
        4.0
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure.subplots(rows, columns, squeeze=False)
