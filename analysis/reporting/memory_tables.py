"""Energy with memory: every model side by side, layer by layer, and what each leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.energy.layers import Range
from analysis.energy.lemaire import lemaire
from analysis.energy.lemaire_costs import LayerEnergy, Memory
from analysis.energy.models import memory_models
from analysis.energy.quantised import PUBLISHED_CROSSINGS, bit_matched
from analysis.energy.synapses import spikes_per_synapse
from analysis.records import Run
from analysis.reporting.tables import Cell, Column, Kind, Row, Table, shown

if TYPE_CHECKING:
    import pandas as pd

_ENDS = ("low", "nominal", "high")
_QUANTITIES = ("energy_pj", "counterpart_pj", "ratio")
_PARTS = {
    "operations": "operations",
    "addressing": "addressing",
    "in_out": "in, out",
    "parameters": "weights",
    "potentials": "potentials",
    "total": "total",
}


def memory_frame(run: Run) -> pd.DataFrame:
    """One row per model: energy, that of its counterpart and their ratio, each as a range."""
    import pandas as pd

    rows = [
        (m.name, *_ends(m.snn), *_ends(m.other), *_ends(m.ratio), m.counterpart, m.source,
         "; ".join(m.leaves_out))
        for m in memory_models(run)
    ]  # fmt: skip
    ranges = [f"{name}_{end}" for name in _QUANTITIES for end in _ENDS]
    columns = [name.removesuffix("_nominal") for name in ranges]
    return pd.DataFrame(rows, columns=["model", *columns, "counterpart", "source", "leaves_out"])


def _ends(found: Range | None) -> tuple[float, float, float]:
    nothing = float("nan")
    return (nothing,) * 3 if found is None else (found.low, found.nominal, found.high)


def models_table(run: Run) -> Table:
    """The network under every model that prices memory, beside its counterpart there."""

    def column(name: str, heading: str, kind: Kind, *, roomy: bool = False) -> Column:
        return Column(name=name, heading=heading, kind=kind, roomy=roomy)

    rows: list[Row] = []
    for model in memory_models(run):
        low, nominal, high = _ends(model.snn)
        known = low == high
        ratios = _ends(model.ratio)
        rows.append(
            (
                model.name, None if known else low, nominal, None if known else high,
                _ends(model.other)[1], ratios[1], *_unless(ratios[0] == ratios[2], ratios),
            )
        )  # fmt: skip
    return Table(
        name="memory",
        title="With memory: the network beside its counterpart without spikes, per sample",
        columns=(
            Column(name="model", heading="model"),
            column("energy_pj_low", "low", "joules", roomy=True),
            column("energy_pj", "energy", "joules"),
            column("energy_pj_high", "high", "joules", roomy=True),
            column("counterpart_pj", "counterpart", "joules"),
            column("ratio", "ratio", "ratio"),
            column("ratio_low", "lowest", "ratio", roomy=True),
            column("ratio_high", "highest", "ratio", roomy=True),
        ),
        rows=tuple(rows),
        sentence="Compare within a row only: every model has prices of its own.",
    )


def _unless(known: bool, ratios: tuple[float, float, float]) -> tuple[Cell, Cell]:
    return (None, None) if known else (ratios[0], ratios[2])


def _verdicts(run: Run) -> str:
    """Where the network stands beside the published thresholds, in sentences."""
    found, synapses = bit_matched(run), spikes_per_synapse(run)
    if found is None or synapses is None:
        return "No layer of this network works on spikes."
    crossing = found.crossing_rate
    ends = f" ({crossing.low:.3f} to {crossing.high:.3f})" if crossing.low < crossing.high else ""
    published = ", ".join(f"{rate} ({which})" for which, rate in PUBLISHED_CROSSINGS.items())
    return (
        f"{synapses.words[0].upper()}{synapses.words[1:]}. Its spiking layers receive "
        f"{found.in_rate:.3f} spikes per synapse and step; the bit-matched network would cost as "
        f"much at {crossing.nominal:.3f}{ends}. Published crossings of Yan et al.: {published}."
    )


def lemaire_table(run: Run, memory: Memory = "linear") -> Table:
    """Every layer and neuron layer after Lemaire et al., by what the energy goes into."""
    found = lemaire(run, memory=memory)
    total = found.total_pj
    return Table(
        name="lemaire",
        title=f"After Lemaire et al. 2022, {memory} memory, layer by layer, per sample",
        columns=(
            Column(name="layer", heading="layer"),
            Column(name="kind", heading="kind", meaning="what it works on; or neurons"),
            *(
                Column(name=f"{part}_pj", heading=heading, kind="joules", roomy=part != "total")
                for part, heading in _PARTS.items()
            ),
            Column(name="share", heading="share", kind="share"),
        ),
        rows=tuple((x.name, x.kind, *_spent(x), _part(x.total_pj, total)) for x in found.layers),
        sentence="Weights with biases, potentials, inputs and outputs each lie in a memory of "
        "their own size; a neuron layer has a row of its own.",
    )


def _spent(layer: LayerEnergy) -> tuple[Cell, ...]:
    spent = (
        layer.operations_pj, layer.addressing_pj, layer.input_pj + layer.output_pj,
        layer.parameters_pj, layer.potentials_pj, layer.total_pj,
    )  # fmt: skip
    return tuple(pj or None for pj in spent)


def _part(value: float, whole: float) -> float:
    return value / whole if whole else 0.0


def memory_notes(run: Run) -> tuple[str, ...]:
    """Where the network stands beside published thresholds, and what each model leaves out."""
    groups: dict[str, tuple[str, ...]] = {}
    for model in memory_models(run):
        groups.setdefault(model.name.partition(",")[0], model.leaves_out)
    left_out = (f"{name} leaves out: {'; '.join(items)}." for name, items in groups.items())
    return (_verdicts(run), _arithmetic(run), *left_out)


def _arithmetic(run: Run) -> str:
    found = lemaire(run)
    spent = sum(layer.operations_pj for layer in found.layers)
    share = shown(_part(spent, found.total_pj), "share")
    return f"After Lemaire et al., linear memory, arithmetic is {share} of the energy."
