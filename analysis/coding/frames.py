"""Measured codes as frames. Needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.code_records import Coding

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("encoder", "quantity", "step", "value", "low", "high", "unit")


def coding_frame(records: list[Coding]) -> pd.DataFrame:
    """Records as one tidy frame, with the columns of `comparison.compare`."""
    import pandas as pd

    rows = [
        (record.encoder, found.quantity, found.step, found.value, found.low, found.high, found.unit)
        for record in records
        for found in record.measured
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({"step": "Int64", "value": float, "low": float, "high": float})
