"""The network beside what it would be without spikes, by counted operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from analysis.energy.ann import Counterpart, Reads, comparison, counterpart, counterparts
from analysis.energy.energy import Energy
from analysis.reporting.columns import ACS, ENERGY, MACS
from analysis.reporting.tables import Column, Row, Table

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    Column(name="network", heading="network"),
    Column(name="steps", heading="steps", kind="integer"),
    ACS,
    MACS,
    ENERGY,
    Column(name="ratio", heading="ratio", kind="ratio", meaning="of the spiking network to it"),
)


def counterpart_table(energy: Energy, zeros: float = 0.0) -> Table:
    """The network, its ReLU counterpart dense and with skipped zeros, and one of few bits.

    Args:
        energy: The network under a convention and a technology.
        zeros: Share of activations that a ReLU network skips, given and not measured; 0: only
            the dense one.

    Raises:
        InputError: If the share is none.
    """
    gate = any(site.role == "gate" for site in energy.run.sites)
    return Table(
        name="counterpart",
        title=f"Beside the same shape without spikes{' and without the gate' if gate else ''}, per "
        f"sample, {energy.convention.name}, {energy.technology.name}",
        columns=_COLUMNS,
        rows=tuple(_rows(energy, zeros)),
        sentence="Counted operations only. The few-bit network is priced at 45 nm and at its own "
        "width, so it has no ratio to this one; models with memory compare the two at like widths.",
    )


def _rows(energy: Energy, zeros: float) -> Iterator[Row]:
    samples, total, own = energy.run.samples, energy.total, _own(energy)
    acs, macs = float(total.acs / samples), float(total.macs / samples)
    yield "this network", energy.run.steps, acs, macs, own, None
    for name, other in _relu(energy, zeros):
        pj = other.energy_pj(energy.technology)
        ratio = own / pj if pj else None
        yield name, other.passes, 0, other.macs, "unpriced" if pj is None else pj, ratio
    plain = counterpart(energy.run)
    name = f"{plain.matched_bits}-bit values, dense"
    yield name, 1, 0, plain.macs, plain.bit_matched_pj, None


def _own(energy: Energy) -> float:
    return float(energy.exact_pj(energy.total))


_READS: dict[Reads, str] = {
    "image": "", "frames": " on each frame of events", "sum": " on the sum of the events",
}  # fmt: skip


def _relu(energy: Energy, zeros: float) -> Iterator[tuple[str, Counterpart]]:
    for share in (0.0, zeros) if zeros else (0.0,):
        skips = f"{100 * share:g} % zeros skipped" if share else "dense"
        for other in counterparts(energy.run, share):
            yield f"ReLU{_READS[other.reads]}, {skips}", other


def counterpart_notes(energy: Energy, zeros: float = 0.0) -> tuple[str, ...]:
    """How the network stands to each counterpart, and what none of them says."""
    under = f"{energy.convention.name}, {energy.technology.name}"
    bounded = "at least " if energy.unpriced else ""
    notes = [
        f"This network is {bounded}{comparison(_own(energy), pj, other=name, under=under)}."
        for name, other in _relu(energy, zeros)
        if (pj := other.energy_pj(energy.technology)) is not None
    ]
    plain = counterpart(energy.run)
    return (
        *notes,
        f"{plain.matched_bits} bits hold the 0 to {plain.steps} spikes of a neuron, but such a "
        "network is not function-matched: it need not compute the same.",
        f"The counterparts leave out: {'; '.join(plain.leaves_out)}.",
    )


def counterpart_frame(energy: Energy, zeros: float = 0.0) -> pd.DataFrame:
    """The rows of `counterpart_table` as numbers."""
    import pandas as pd

    table = counterpart_table(energy, zeros)
    frame = pd.DataFrame(table.rows, columns=[column.name for column in table.columns])
    numbers = ["acs", "macs", "energy_pj", "ratio"]
    frame[numbers] = frame[numbers].apply(pd.to_numeric, errors="coerce")
    return frame
