"""`gac-analyze --arch` and the options for single fields of a convention, as a user runs them."""

from __future__ import annotations

import json

import pytest

from analysis.energy.conventions import PRESETS, rules


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal with room for every column."""
    monkeypatch.setenv("COLUMNS", "160")


def test_an_architecture_at_a_rate_is_priced_under_every_preset(run, tmp_path):
    done = run("--arch", "msresnet8", "--rates", "0.2", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "architecture counts at stated rates, no data was run" in done.stdout
    for words in (*PRESETS, "spatial gate", "readout"):
        assert words in done.stdout
    table = json.loads((tmp_path / "report.json").read_text())
    note = "architecture counts at stated rates, no data was run"
    assert table["run"]["provenance"]["notes"] == [note]


def test_an_energy_is_solved_for_the_rate_each_preset_needs(run):
    done = run("--arch", "msresnet8", "--solve-rate", "10 uJ")
    assert done.returncode == 0, done.stderr
    assert "The one rate that 10 µJ would need" in done.stdout
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line}
    assert "cannot" in lines["operand"]  # the gate alone takes more
    assert "without a single spike" in lines["operand"]
    assert 0 < float(lines["all-ac"].split()[1]) < 1


def test_rates_can_come_from_a_file(run, tmp_path):
    (tmp_path / "rates.csv").write_text("site,rate\nstages.*,0.1\n*,0.5\n")
    done = run("--arch", "msresnet8", "--rates", tmp_path / "rates.csv")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_released_network_has_its_published_energy_beside_it(run):
    done = run("--arch", "msresnet18", "--rates", "0.2")
    for words in ("30.25 mJ", "7.563 mJ", "2.171 mJ", "542.9 µJ", "1.49 mJ", "0.1234"):
        assert words in done.stdout


def test_every_field_of_the_convention_has_an_option(run):
    text = run("--conventions").stdout
    for name in rules():
        assert f"--{name.replace('_', '-')} " in text


def test_a_changed_field_is_in_the_name_of_the_convention(run):
    done = run("--arch", "msresnet8", "--rates", "0.2", "--stem", "once", "--norm", "counted")
    assert "Convention operand, stem once, norm counted (stem once," in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stem", "twice"], "'twice' for stem of a convention; allowed: every-step, once, free"),
        (["--arch", "msresnet8"], "--arch needs --rates, or --solve-rate"),
        (["--rates", "0.2"], "need a network: --arch NAME"),
        (["--arch", "vgg", "--rates", "0.2"], "unknown model 'vgg'; known: msresnet18-cifar"),
        (["--arch", "msresnet8", "--rates", "2"], "between 0 and 1, got 2"),
        (["--arch", "msresnet8", "--rates", "nan"], "a number between 0 and 1 or a .csv file"),
        (["--arch", "msresnet8", "--rates", "no.csv"], "no.csv: can't be read"),
        (["--arch", "msresnet8", "--rates", "{csv}"], "expected the columns site,rate, got layer"),
        (["--arch", "msresnet8", "--solve-rate", "5"], "expected an energy such as 1.49mJ"),
        (["x.pth", "--arch", "msresnet8", "--rates", "0"], "not both"),
        (["--arch", "msresnet8", "--rates", "0", "--per-sample"], "so --per-sample would do noth"),
        (["--arch", "msresnet8", "--rates", "0", "--budget", "b"], "so --budget would do nothing"),
        (
            ["--arch", "msresnet8", "--rates", "0", "--samples", "3"],
            "so --samples would do nothing",
        ),
        (["--versus", "eq99"], "unknown convention 'eq99'; known: operand"),
        (["--ann", "1.5"], "--ann takes a share of zero activations from 0 to 1, got 1.5"),
        (["--ann", "nan"], "from 0 to 1, got nan"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(run, arguments, message, tmp_path):
    (tmp_path / "rates.csv").write_text("layer,rate\n*,0.5\n")
    done = run(*[argument.format(csv=tmp_path / "rates.csv") for argument in arguments])
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_architecture_can_be_asked_for_memory_counterpart_and_differences(run):
    done = run(
        "--arch", "msresnet8", "--rates", "0.2", "--memory", "--ann", "0.5", "--versus", "folk"
    )
    assert done.returncode == 0, done.stderr
    for words in ("Lemaire, linear memory", "50 % zeros skipped", "What moves the number"):
        assert words in done.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected the columns site,rate, got none"),
        (b"\xff\xfe", "no UTF-8 text"),
        (b"site,rate\n*", "row 2: expected a site and a rate, got *"),
        (b"site,rate\n*,0.1,0.2", "row 2: expected a site and a rate, got *,0.1,0.2"),
        (b"site,rate\n*,", "row 2: expected a rate, got ''"),
        (b"site,rate\n*,0.1\n*,0.2", "row 3: a second rate for *"),
        (b"site,rate\n*,inf", "row 2: expected a rate, got 'inf'"),
        (b"site,rate\n", "no rate for the layer encoder.gate"),
        (b"site,rate\n*,-1%", "between 0 and 1, got -0.01 for *"),
    ],
)
def test_a_file_of_rates_that_can_not_be_used_gets_one_line(run, tmp_path, content, message):
    (tmp_path / "rates.csv").write_bytes(content)
    done = run("--arch", "msresnet8", "--rates", tmp_path / "rates.csv")
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
