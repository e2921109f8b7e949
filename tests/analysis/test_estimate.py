"""Energy of an architecture at stated rates, and what the published millijoules can contain."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from io import StringIO

import pytest
import torch
from rich.console import Console
from torch import nn

import analysis
import gac
from analysis.energy.conventions import PRESETS, convention
from analysis.energy.estimate import MARK, at_rates, parse_energy, solve_rate
from analysis.energy.technology import technology
from analysis.reporting.html.page import html_page
from analysis.reporting.method import PLAIN, paragraph
from analysis.reporting.published_tables import bookings_table, contents_table
from analysis.reporting.report import Report
from analysis.reporting.summary import print_report

PRICES = technology("45nm-fp32")


def architecture_run(name, **changes):
    torch.manual_seed(0)
    model = gac.build(name, **changes).eval()
    size = model.config.image_size
    return analysis.analyze(model, [torch.randn(1, 3, size, size)]).run


@pytest.fixture(scope="module")
def small():
    return architecture_run("msresnet8", steps=2)


def mj(run, rule, rate=Fraction(1, 5)):
    return Report(at_rates(run, rate), rule, PRICES).totals.energy_pj / 1e9


def solved(run, millijoules, rule):
    return solve_rate(run, parse_energy(f"{millijoules}mJ"), rule, PRICES)


def test_counts_follow_from_the_rate(small):
    run = at_rates(small, Fraction(1, 4))
    for before, site in zip(small.sites, run.sites, strict=True):
        rate = Fraction(1) if site.role == "stem" else Fraction(1, 4)
        assert site.synops == round(rate * before.inside_macs)
        assert site.nonzeros == round(rate * before.elements)
        assert site.synops_by_step is None or sum(site.synops_by_step) == site.synops
        assert site.dense_macs == before.dense_macs
    assert run.firing_rate == pytest.approx(0.25)


def test_a_rate_is_spread_over_the_steps_that_are_known_and_no_others(small):
    neuron = replace(small.neurons[0], spikes_by_step=None, outputs_by_step=None)
    sites = tuple(replace(s, synops_by_step=None, nonzeros_by_step=None) for s in small.sites)
    run = at_rates(replace(small, sites=sites, neurons=(neuron,)), Fraction(1, 4))
    assert {site.synops_by_step for site in run.sites} == {None}
    assert run.neurons[0].spikes_by_step is None
    assert run.neurons[0].spikes == neuron.outputs / 4


def test_what_a_layer_reads_follows_from_its_place_not_from_the_noise(small):
    kinds = {site.role: site.operand for site in at_rates(small, Fraction(0)).sites}
    assert kinds == {
        "stem": "real", "gate": "real", "spiking": "spike", "shortcut": "real", "readout": "real",
    }  # fmt: skip


def test_an_estimate_is_marked(small):
    run = at_rates(small, Fraction(1, 4))
    assert run.provenance["notes"] == [MARK]
    assert MARK in run.provenance["data"]
    assert not run.warnings


def test_every_preset_prices_an_estimate(small):
    for rule in PRESETS.values():
        assert mj(small, rule) > 0


def test_layers_can_have_rates_of_their_own(small):
    run = at_rates(small, {"stages.0.*": Fraction(1, 2), "*": Fraction(0)})
    assert all(bool(s.synops) == (s.key.name[:8] == "stages.0") for s in run.sites[1:])


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (Fraction(3, 2), "between 0 and 1, got 1.5"),
        ({"head": Fraction(1, 2)}, "no rate for the layer encoder.gate"),
        ({"*": Fraction(1), "body": Fraction(1)}, "no layer is called body; layers: encoder.stem"),
    ],
)
def test_rates_that_do_not_fit_get_one_line(small, rates, message):
    with pytest.raises(analysis.InputError, match=message):
        at_rates(small, rates)


@pytest.mark.parametrize("name", PRESETS)
def test_the_solved_rate_gives_back_the_energy(small, name):
    rule = convention(name)
    found = solve_rate(small, Fraction(mj(small, rule) * 10**9), rule, PRICES)
    if found.rate is None:
        assert "operand" not in name
    else:
        assert found.rate == pytest.approx(0.2, rel=1e-3)  # counts are whole numbers


def test_no_rate_is_found_where_there_is_none(small):
    rule = convention("operand")
    assert "mJ without a single spike" in solved(small, 0, rule).reason
    assert "mJ with a spike everywhere" in solved(small, 1000, rule).reason
    flat = convention("operand", real="dense-mac", stem="free", gate="free")
    assert solved(small, 0, flat).rate is None


def test_without_a_price_for_macs_a_rate_is_an_upper_bound(small):
    prices = technology("loihi")
    found = solve_rate(small, Fraction(10**6), convention("operand"), prices)
    assert 0 < found.rate < 1
    assert found.reason == "at most: MACs have no price"
    rows = contents_table(small, Fraction(10**6), prices, "nobody").rows
    assert {row[2] for row in rows if row[1].startswith("MACs")} == {"unpriced"}
    (cell,) = {row[2] for row in bookings_table(small, Fraction(10**6), prices, "nobody").rows[1:2]}
    assert (
        cell == f"≤ {solve_rate(small, Fraction(10**6), convention('sew-table'), prices).rate:.4f}"
    )


@pytest.mark.parametrize("text", ["", "1.49", "mJ", "-1mJ", "1.49 kWh", "1e999mJ", "nanJ"])
def test_an_energy_needs_a_number_and_a_unit(text):
    with pytest.raises(analysis.InputError, match=r"expected an energy such as 1\.49mJ"):
        parse_energy(text)


# From here on: what the released networks compute, and what 1.49 to 3.38 mJ can contain.
# One pass over one 224 x 224 image each; the expected values are worked out from the layer
# shapes alone, MACs per step in millions.
IMAGENET = {
    "msresnet18": {"stem": 118.014, "spiking": 1676.280, "shortcut": 32.113, "readout": 0.512},
    "msresnet34": {"stem": 118.014, "spiking": 3525.968, "shortcut": 32.113, "readout": 0.512},
}
CIFAR = {"stem": 1.769, "spiking": 2189.427, "shortcut": 25.166, "readout": 0.051}


@pytest.fixture(scope="module", params=[("msresnet18", 4), ("msresnet34", 6)], ids=str)
def imagenet(request):
    name, steps = request.param
    return name, architecture_run(name, steps=steps)


@pytest.fixture(scope="module")
def resnet18():
    return architecture_run("msresnet18", steps=4)


def macs_per_step(run):
    found = {}
    for site in run.at_every_step.sites:
        if not site.mixes_steps:
            found[site.role] = found.get(site.role, 0) + site.dense_macs / run.steps / 1e6
    return found


@pytest.mark.slow
def test_macs_per_step_of_the_imagenet_networks(imagenet):
    name, run = imagenet
    found = macs_per_step(run)
    assert found.pop("gate") == pytest.approx(1644.2, abs=0.1)
    assert found == pytest.approx(IMAGENET[name], abs=5e-4)


def test_macs_per_step_of_the_cifar_network():
    found = macs_per_step(architecture_run("msresnet18-cifar"))
    assert found.pop("gate") == pytest.approx(134.2, abs=0.1)
    assert found == pytest.approx(CIFAR, abs=5e-4)


@pytest.mark.slow
def test_gate_and_stem_of_the_imagenet_network_in_millijoules(resnet18):
    frame = Report(at_rates(resnet18, Fraction(1, 5)), convention("operand"), PRICES).by_role()
    cost = frame.set_index(["convention", "part"]).energy_pj / 1e9
    assert cost["operand", "spatial gate"] == pytest.approx(30.25, abs=0.005)
    assert cost["operand-once", "spatial gate"] == pytest.approx(7.56, abs=0.005)
    assert cost["all-ac", "spatial gate"] == pytest.approx(1.18, abs=0.005)
    assert cost["operand", "stem"] == pytest.approx(2.17, abs=0.005)
    assert cost["operand-once", "stem"] == pytest.approx(0.54, abs=0.005)


# pJ per MAC of one step, for stem, spatial gate and what reads membranes or pooled spikes.
# 6 steps: MACs at all of them 6 x 4.6, once 4.6; ACs at a rate of 0.2: 6 x 0.2 x 0.9.
STEPS, ONCE, ACS = 27.6, 4.6, 1.08
BOOKED = {
    "operand": (STEPS, STEPS, STEPS),
    "operand-once": (ONCE, ONCE, STEPS),
    "eq17": (STEPS, 0, ACS),
    "eq17-upstream": (STEPS, 0, ACS),
    "eq17+dE": (STEPS, STEPS, ACS),
    "sew-table": (ONCE, 0, ACS),
    "all-ac": (0, ACS, ACS),
    "folk": (STEPS, ACS, ACS),
}


def test_the_cifar_network_itemised_by_hand():
    run = at_rates(architecture_run("msresnet18-cifar"), Fraction(1, 5))
    frame = Report(run, convention("operand"), PRICES).by_role()
    cost = frame.set_index(["convention", "part"]).energy_pj / 1e9
    macs = {name: millions / 1e3 for name, millions in CIFAR.items()}
    gate = 2 * 64 * 64 * 16 * 32 * 32 / 1e9  # two convolutions 64 -> 64, 4 x 4, on 32 x 32
    assert set(BOOKED) == set(PRESETS) - {"operand-sparse"}
    for name, (stem_pj, gate_pj, real_pj) in BOOKED.items():
        assert cost[name, "stem"] == pytest.approx(stem_pj * macs["stem"], rel=1e-3)
        assert cost[name, "spatial gate"] == pytest.approx(gate_pj * gate, rel=1e-3)
        assert cost[name, "shortcut"] == pytest.approx(real_pj * macs["shortcut"], rel=1e-3)
        assert cost[name, "readout"] == pytest.approx(real_pj * macs["readout"], rel=1e-2)
        assert cost[name, "temporal gate"] < 1e-6  # 2 x 2 x 6 x 3 MACs in all
        if not name.startswith("operand"):  # those at borders, exactly
            assert cost[name, "spiking"] == pytest.approx(ACS * macs["spiking"], rel=1e-3)


@pytest.mark.slow
def test_what_the_published_energy_of_the_imagenet_network_can_contain(resnet18):
    rows = contents_table(resnet18, parse_energy("1.49mJ"), PRICES, "published").rows
    found = {(part, booked): (energy / 1e9, verdict) for part, booked, energy, verdict in rows}
    expected = {
        ("stem", "MACs T times"): (2.171, "cannot be in it"),
        ("stem", "MACs once"): (0.543, "leaves 947.1 µJ"),
        ("spatial gate", "MACs T times"): (30.25, "cannot be in it"),
        ("spatial gate", "MACs once"): (7.563, "cannot be in it"),
        ("spatial gate", "ACs at a rate"): (5.919, "up to a rate of 0.2517"),
        ("shortcut", "MACs T times"): (0.591, "leaves 899.1 µJ"),
    }
    for key, (energy, verdict) in expected.items():
        assert found[key] == (pytest.approx(energy, abs=5e-3), verdict)


# Convention -> the single rate that each published energy implies under it.
NO_GATE = convention("all-ac", gate="free")
ONCE = convention("sew-table")
GATE_AS_AC = convention("all-ac")
EVERY_STEP = convention("eq17")
IMPLIED = [
    ("msresnet18", 4, "1.49", 0.242, 0.154, 0.1234, None),
    ("msresnet18", 6, "2.34", 0.254, 0.195, 0.1292, None),
    ("msresnet34", 4, "2.20", 0.172, 0.129, 0.1175, 0.002),
    ("msresnet34", 6, "3.38", 0.176, 0.148, 0.1203, 0.006),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps", "printed", "free", "once", "gate", "every"), IMPLIED)
def test_the_rates_that_published_energies_imply(name, steps, printed, free, once, gate, every):
    run = architecture_run(name, steps=steps)
    assert solved(run, printed, NO_GATE).rate == pytest.approx(free, abs=5e-4)
    assert solved(run, printed, ONCE).rate == pytest.approx(once, abs=5e-4)
    assert solved(run, printed, GATE_AS_AC).rate == pytest.approx(gate, abs=5e-5)
    with_stem = solved(run, printed, EVERY_STEP)
    if every is None:
        assert "without a single spike" in with_stem.reason
    else:
        assert with_stem.rate == pytest.approx(every, abs=5e-4)
    for name_of_preset in ("operand", "operand-once", "eq17+dE"):  # the gate as MACs: too much
        found = solved(run, printed, PRESETS[name_of_preset])
        assert "without a single spike" in found.reason


def test_an_architecture_is_estimated_at_the_decimal_rate_that_was_written():
    model = gac.build("msresnet8")
    states = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = torch.random.get_rng_state()
    report = analysis.estimate(model, (3, 16, 16), 0.1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(tensor, states[name]) for name, tensor in model.state_dict().items())
    rated = [site for site in report.run.sites if site.role != "stem"]
    assert all(site.nonzeros == round(Fraction(1, 10) * site.elements) for site in rated)
    assert report.run.provenance["parameters"] == sum(p.numel() for p in model.parameters())
    assert report.run.provenance["notes"] == [MARK]


def test_rates_of_single_layers_go_by_pattern():
    rates = {"stages.*": 0.25, "*": 0.5}
    report = analysis.estimate(gac.build("msresnet8"), (3, 16, 16), rates, convention="all-ac")
    in_rate = report.sites.set_index("site").in_rate
    assert in_rate["stages.0.0.conv2"] == 0.25
    assert in_rate["head"] == 0.5
    assert report.convention.name == "all-ac"


class Sums(nn.Module):
    """As SEW-ResNet and Spikformer do: spikes of a branch are added to the spikes it came from."""

    def __init__(self):
        super().__init__()
        self.first, self.branch = nn.Linear(4, 6, bias=False), nn.Linear(6, 6, bias=False)
        self.last = nn.Linear(6, 2, bias=False)
        self.one, self.other = Fires(), Fires()

    def forward(self, x):
        spikes = self.one(self.first(x))
        return self.last(spikes + self.other(self.branch(spikes)))


class Fires(nn.Module):
    def forward(self, x):
        return (x > 0).to(x.dtype)


def test_sums_of_spikes_are_counts_in_an_estimate_as_in_a_run():
    torch.manual_seed(0)
    network, settings = Sums(), {"steps": 1, "neurons": [Fires]}
    run = analysis.analyze(network, [torch.randn(50, 4)], **settings).run
    report = analysis.estimate(network, (4,), 0.5, **settings)
    for sites in (run.sites, report.run.sites):
        assert [site.operand for site in sites] == ["real", "spike", "graded"]
        assert sites[2].origin == "summed-spikes"
    assert report.totals.macs == 24 + 12  # the image, and numbers that are no spikes
    # the other reading: no two spikes meet, and each count is one accumulate
    other = report.under("operand, graded repeat-ac").totals
    assert (other.acs, other.macs) == (18 + 6, 24)


def test_an_estimate_never_says_that_anything_was_counted_or_measured():
    report = analysis.estimate(Sums(), (4,), {"last": 0.25, "*": 0.5}, steps=1, neurons=[Fires])
    assert report.run.stated_rates == {"last": 0.25, "*": 0.5}
    words = paragraph(report, PLAIN)
    assert "stated, not measured: non-zero are 0.25 of the inputs of last, 0.5 of the" in words
    page = html_page(report)
    for lie in ("counted exactly", "Counts are exact", "Firing rates", "95 % intervals over"):
        assert lie not in words
        assert lie not in page
    console = Console(width=100, file=StringIO())
    print_report(report, console)
    assert "nothing was measured" in console.file.getvalue()
    assert "Counts are exact" not in console.file.getvalue()


def test_rates_that_are_stated_of_a_network_without_neurons_are_rates():
    vgg = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 2, bias=False))
    report = analysis.estimate(vgg, (4,), 0.5, steps=1, convention="eq17")
    assert (report.totals.acs, report.totals.macs) == (6, 24)
    said = analysis.estimate(vgg, (4,), 0.5, steps=1, roles={"2": "spiking"})
    assert (said.totals.acs, said.totals.macs) == (6, 24)
