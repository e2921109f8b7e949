"""Columns that several tables of a report share."""

from analysis.reporting.tables import Column

LAYER = Column(name="layer", heading="layer", meaning="module path, operation and call")
NEURON_LAYER = Column(name="layer", heading="neuron layer")
RATE = Column(
    name="firing_rate", heading="firing rate", kind="rate", meaning="spikes per neuron and step"
)
ENERGY = Column(name="energy_pj", heading="energy", kind="joules", meaning="per sample")
SHARE = Column(name="share", heading="share", kind="share", meaning="of the energy of all layers")
ACS = Column(name="acs", heading="ACs", kind="count", meaning="accumulates per sample")
MACS = Column(name="macs", heading="MACs", kind="count", meaning="multiply-accumulates per sample")
SYNOPS = Column(
    name="synops",
    heading="synops",
    kind="count",
    meaning="pairs of a non-zero input and a weight that meet inside the output, per sample",
)
