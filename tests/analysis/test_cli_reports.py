"""Reports, comparisons and budgets from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
import torch
from torch import nn

import gac
from gac.checkpoint import save_checkpoint, shipped_checkpoint

FILES = (
    "report.json", "report.html", "report.md", "report.tex", "references.bib", "inputs.csv",
    "sites.csv", "neurons.csv", "steps.csv", "conventions.csv", "samples.csv", "memory.csv",
    "lemaire.csv", "counterpart.csv",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a report of a few images, made by the command itself."""
    from analysis.cli.analyze import main

    path = tmp_path_factory.mktemp("made")
    before = sys.argv
    arguments = ["--samples", "24", "--output", str(path), "--write-budget", f"{path}/budget.toml"]
    sys.argv = ["gac-analyze", *arguments]
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = before
    assert ended.value.code == 0
    return path


def test_a_run_leaves_every_file(folder):
    assert {*FILES, "budget.toml"} == {entry.name for entry in folder.iterdir()}


def test_help_fits_one_screen_and_groups_every_option(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = run("--help").stdout
    lines = text.splitlines()
    assert len(lines) <= 75
    assert max(map(len, lines)) <= 100
    for group in ("Network and data:", "What operations cost:", "Output:", "Comparison:",
                  "Budget:", "Without a checkpoint:", "Examples:"):  # fmt: skip
        assert group in lines


def test_a_report_is_read_again_and_priced_anew_without_a_model(run, folder):
    done = run(folder / "report.json", "--convention", "eq17", "--technology", "45nm-int8")
    assert done.returncode == 0, done.stderr
    assert "per sample, eq17, 45nm-int8" in done.stdout


def test_the_headline_has_the_digits_of_the_table(run, folder):
    """53 µJ between 52.9 and 53.1 µJ, beside 52.96 µJ below, is one number in two forms."""
    done = run(folder / "report.json")
    energy = next(line for line in done.stdout.splitlines() if line.startswith("energy"))
    operand = next(line for line in done.stdout.splitlines() if line.startswith("operand "))
    assert " ".join(energy.split()[1:3]) in operand


@pytest.mark.parametrize(
    ("axis", "row"),
    [
        ("role", "shortcut"),
        ("stage", "stages.2"),
        ("layer", "stages.2.0.conv1"),
        ("step", "t=3"),
        ("channel", "neuron : "),
    ],
)
def test_the_breakdown_follows_the_axis(run, folder, axis, row):
    done = run(folder / "report.json", "--by", axis, "--top", 200)
    assert row in done.stdout


def test_the_largest_rows_come_first(run, folder):
    text = run(folder / "report.json", "--top", 2).stdout
    table = text.split("Weight layers, per sample: the 2 largest of 17 by energy", 1)[1]
    assert "encoder.gate.spatial.conv1" in table.split("Firing rates")[0]
    assert "stages.0.0.conv1" not in table.split("Firing rates")[0]


def _shell(command, folder):
    script = "from analysis.cli.analyze import main; main()"
    line = command.format(run=f"{sys.executable} -c '{script}' {folder / 'report.json'}")
    return subprocess.run(["/bin/bash", "-c", line], capture_output=True, text=True, check=False)


def test_a_reader_that_goes_away_is_no_broken_budget(folder):
    done = _shell("{run} | (exec 0<&-; sleep 0.1); echo ${{PIPESTATUS[0]}}", folder)
    assert done.stdout.strip() == "141"
    assert not done.stderr


def test_output_may_be_closed_or_know_no_greek(folder):
    assert _shell("{run} >&-", folder).returncode == 0
    done = _shell("PYTHONIOENCODING=ascii {run}", folder)
    assert done.returncode == 0, done.stderr
    assert " ?J " in done.stdout


def test_a_piped_summary_has_no_colours(run, folder, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in run(folder / "report.json").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR")
    assert "\x1b[" not in run(folder / "report.json").stdout


def test_several_inputs_make_one_comparison(run, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = run(folder / "report.json", shipped_checkpoint(), "--samples", 24, "--with-published",
               "--output", tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    for words in ("Methods compared", "MS-ResNet, gac encoder", "Energy under every convention",
                  "GAC-MS-ResNet-18"):  # fmt: skip
        assert words in done.stdout
    # one seed twice is no spread: two rows, each with its file
    table = (tmp_path / "comparison.md").read_text()
    assert "| report.json: MS-ResNet, gac encoder" in table
    assert "| digits-gac.pth: MS-ResNet, gac encoder" in table
    assert r"\toprule" in (tmp_path / "comparison.tex").read_text()
    assert (tmp_path / "2-digits-gac.json").exists()


def of_seed(seed, file, **changes):
    """The shipped network, said to come from another training seed."""
    shipped = gac.load(shipped_checkpoint())
    made = replace(shipped.metadata.provenance, seed=seed, **changes)
    save_checkpoint(file, shipped.model, replace(shipped.metadata, provenance=made))
    return file


def test_training_seeds_are_one_row_however_they_were_typed(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    commands = ("gac-train --recipe digits --seed 1 --threads 1",
                "gac-train --seed=2 --resume --workers 2 --recipe=digits")  # fmt: skip
    files = [
        of_seed(seed, tmp_path / f"seed{seed}.pth", command=command)
        for seed, command in enumerate(commands)
    ]
    other = of_seed(3, tmp_path / "long.pth", command="gac-train --recipe digits --epochs 90")
    done = run(*files, other, "--samples", 24, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert table.runs.tolist() == [2, 1]
    assert table["accuracy deviation"].tolist()[0] == 0
    assert "±" in done.stdout


def test_networks_may_be_named(run, folder, tmp_path):
    other = of_seed(7, tmp_path / "other.pth")
    done = run(folder / "report.json", other, "--samples", 24, "--name", "ours", "--name", "theirs",
               "--output", tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert table.method.tolist() == ["ours", "theirs"]


def test_what_moved_is_told_and_written(run, folder, tmp_path):
    done = run(
        "--samples", 24, "--seed", 3, "--against", folder / "report.json", "--output", tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "what moved it" in done.stdout
    assert "beyond chance" in done.stdout
    assert 'id="changes"' in (tmp_path / "report.html").read_text()
    assert (tmp_path / "energy-changes.csv").exists()


def test_a_kept_budget_ends_with_0(run, folder):
    done = run("--samples", 24, "--budget", folder / "budget.toml")
    assert done.returncode == 0, done.stderr
    assert "Budget kept" in done.stdout


@pytest.fixture
def wild(tmp_path):
    """The shipped network with a batch norm scaled up, so that a layer fires more."""
    path = tmp_path / "wild.pth"
    content = torch.load(shipped_checkpoint(), weights_only=True)
    content["state"]["stages.1.0.norm1.weight"] *= 3
    torch.save(content, path)
    return path


def test_a_broken_budget_ends_with_1_and_names_the_layer(run, folder, wild, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")  # as in a log
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    budget = folder / "budget.toml"
    arguments = [wild, "--samples", 24, "--budget", budget, "--junit", tmp_path / "junit.xml"]
    done = run(*arguments)
    assert done.returncode == 1, done.stderr
    broken = done.stdout.split("Budget broken", 1)[1]
    assert "stages.1.0.neuron2" in broken
    assert "firing_rate" in broken
    assert f"--write-budget {budget} --margin 10%" in done.stdout
    assert f"::error file={budget}".replace(":", "") in done.stdout.replace(":", "")
    assert "| stages.1.0.neuron2 |" in (tmp_path / "summary.md").read_text()
    suite = ET.parse(tmp_path / "junit.xml").getroot().find("testsuite")  # noqa: S314
    assert int(suite.get("failures")) > 0


def test_runs_that_differ_are_compared_only_where_that_is_asked_for(run, folder, tmp_path):
    table = json.loads((folder / "report.json").read_text())
    table["run"]["provenance"] |= {"data": "cifar10 test, 9 of 9 samples", "parameters": 7}
    other = tmp_path / "other.json"
    other.write_text(json.dumps(table))
    done = run(folder / "report.json", "--against", other)
    assert done.returncode == 2
    assert "differ in data (cifar10 test before, digits test now), network (7 par" in done.stderr
    assert "what moved it" not in done.stdout
    assert "per sample, operand" in done.stdout  # the run itself is not lost
    anyway = run(folder / "report.json", "--against", other, "--anyway")
    assert anyway.returncode == 0, anyway.stderr
    for words in ("what moved it", "The runs differ in data", "accuracy"):
        assert words in anyway.stdout


def test_limits_that_are_there_change_only_where_that_is_seen_and_asked_for(run, folder, tmp_path):
    file = tmp_path / "budget.toml"
    agreed = "# ours\nschema = 1\n[total]\nenergy_pj = { max = 7.0 } # agreed\n"
    file.write_text(agreed)
    asked = run(folder / "report.json", "--write-budget", file)
    assert asked.returncode == 2
    assert "of its values would change, as shown; with --force they do" in asked.stderr
    assert "total.energy_pj.max" in asked.stdout
    assert file.read_text() == agreed
    forced = run(folder / "report.json", "--write-budget", file, "--force")
    assert forced.returncode == 0, forced.stderr
    assert "} # agreed" in file.read_text()
    again = run(folder / "report.json", "--write-budget", file)  # nothing would change
    assert again.returncode == 0, again.stderr


def test_a_budget_of_another_network_is_not_offered_to_be_overwritten(run, folder, tmp_path):
    file = tmp_path / "budget.toml"
    file.write_text('schema = 1\nnetwork = "VGG-11"\n[total]\nenergy_pj = { max = 1.0 }\n')
    done = run(folder / "report.json", "--budget", file)
    assert done.returncode == 1
    assert "This budget is of VGG-11, the run of MS-ResNet" in done.stdout
    assert "--write-budget" not in done.stdout


MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(6, 4, bias=False), nn.Linear(4, 2, bias=False)

    def forward(self, x):
        return self.head((self.stem(x) > 0).float())

class Fire(nn.Module):
    def forward(self, x):
        return (x > 0).float() / 2  # found by no behaviour

def build():
    return Net()

def build_scaled():
    return nn.Sequential(nn.Linear(6, 4), Fire(), nn.Linear(4, 2))

def clips():
    return [torch.rand(3, 5, 6)]

def test():
    torch.manual_seed(0)
    return [(torch.rand(5, 6), torch.zeros(5, dtype=torch.long)) for _ in range(3)]

def coded():
    torch.manual_seed(0)
    return [(torch.rand(5, 6) < 0.5).float()]

batches = test()
number = 3
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder of a user with a module of their own."""
    (tmp_path / "mynet.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("mynet", None)


def test_any_model_is_analysed_with_functions_of_the_users_own(run, project):
    layer = nn.Module()
    layer.stem, layer.head = nn.Linear(6, 4, bias=False), nn.Linear(4, 2, bias=False)
    nn.init.constant_(layer.stem.weight, 1.0)
    nn.init.constant_(layer.head.weight, 1.0)
    torch.save({"state_dict": layer.state_dict()}, "weights.pth")
    done = run("weights.pth", "--model", "mynet:build", "--data", "mynet:test", "--steps", 1,
               "--role", "stem=stem", "--role", "head=readout", "--output", "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = json.loads((project / "out" / "report.json").read_text())
    assert table["run"]["samples"] == 15
    assert [site["role"] for site in table["run"]["sites"]] == ["stem", "readout"]
    # positive weights and inputs: all 4 of 4 hidden values are 1, 2 outputs each
    assert table["run"]["sites"][1]["synops"] == 15 * 4 * 2
    facts = table["run"]["provenance"]
    assert facts["data"] == "mynet:test, 15 samples"
    assert facts["checkpoint"] == "weights.pth"


def test_neurons_and_the_order_of_time_of_ones_own_model_may_be_said(run, project):
    done = run("--model", "mynet:build_scaled", "--data", "mynet:clips", "--steps", 3,
               "--neurons", "1", "--time-layout", "TB", "--output", "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((project / "out" / "report.json").read_text())["run"]
    assert (found["samples"], found["steps"]) == (5, 3)
    assert [(n["site"], n["neurons"]) for n in found["neurons"]] == [("1", 4)]


@pytest.mark.parametrize(
    ("option", "kind", "said_by", "macs"),
    [((), "events", "values", 0), (("--input", "image"), "image", "user", 24),
     (("--input", "x=image"), "image", "user", 24), (("--input", "x=events"), "events", "user", 0)],
)  # fmt: skip
def test_the_kind_of_the_input_may_be_said(run, project, option, kind, said_by, macs):
    done = run("--model", "mynet:build", "--data", "mynet:coded", "--steps", 1, *option,
               "--output", "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    (found,) = json.loads((project / "out" / "report.json").read_text())["run"]["inputs"]
    assert (found["name"], found["kind"], found["said_by"]) == ("x", kind, said_by)
    assert ("x, said to hold" if said_by == "user" else "x, by its values") in done.stdout
    first = pd.read_csv(project / "out" / "sites.csv").iloc[0]
    assert (first.origin, first.macs) == (kind, macs)


def test_a_number_of_samples_cuts_the_last_batch(run, project):
    done = run("--model", "mynet:build", "--data", "mynet:batches", "--steps", 1, "--samples", 7)
    assert done.returncode == 0, done.stderr
    assert "mynet:batches, 7 samples" in done.stdout
    assert "no weights file" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "mynet:build"], "--model needs its samples: --data package.module:loader"),
        (["--model", "mynet", "--data", "mynet:test"], "--model takes package.module:name"),
        (["--model", "nonet:build", "--data", "mynet:test"], "no module named 'nonet'"),
        (["--model", "mynet:make", "--data", "mynet:test"], "mynet has no 'make'; it has:"),
        (["--model", "mynet:test", "--data", "mynet:test"], "gave a list, not a torch module"),
        (["--model", "mynet:build", "--data", "mynet:number"], "gave a int, not batches"),
        (
            ["{other}", "--model", "mynet:build", "--data", "mynet:test"],
            "does not fit the model of",
        ),
        (["{list}", "--model", "mynet:build", "--data", "mynet:test"], "holds a list, no weights"),
        (["--role", "stem"], "--role takes GLOB=ROLE with one of stem, gate"),
        (["--role", "a=b"], "--role takes GLOB=ROLE"),
        (["--input", "picture"], "--input takes [NAME=]KIND with one of events, image, not 'pict"),
        (["--input", "=events"], "--input takes [NAME=]KIND"),
        (["--samples", "1", "--input", "y=events"], "no input is called 'y'; inputs: images"),
        (["--neurons", "a"], "--loop and --forward are for a model of your own: --model"),
        (
            ["--model", "mynet:build", "--data", "mynet:test", "--steps", "1", "--neurons", "no"],
            "'no'",
        ),
        (["--time-layout", "BTC"], "'BT', 'TB', 'loop'"),
        (["--junit", "x.xml"], "--junit needs --budget"),
        (["--margin", "5%"], "--margin needs --write-budget"),
        (["--force"], "--force needs --write-budget"),
        (["--anyway"], "--anyway needs --against"),
        (["--write-budget", "b.toml", "--margin", "two"], "a margin is a share"),
        (["--budget", "none.toml"], "no such budget"),
        (["--against", "none.json"], "not a readable report"),
        (["none.json"], "none.json does not exist"),
        (
            ["{json}", "--samples", "3", "--flips"],
            "made already, so --samples, --flips would do noth",
        ),
        (["{json}", "--steps", "2"], "so --steps would do nothing"),
        (["{json}", "--model", "mynet:build"], "so --model would do nothing"),
        (["{json}", "{json}", "--memory", "--by", "role"], "one table, so --by, --memory would do"),
        (["{other}", "{list}", "--budget", "{budget}"], "--budget takes one checkpoint or report"),
        (["{json}", "{json}"], "is given twice: one file is one run"),
        (["{json}", "--name", "a", "--name", "b"], "once for each input: 2 names for 1"),
        (["--by", "colour"], "colour"),
        (["--top", "0"], "--top"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(run, folder, project, arguments, message):
    torch.save({"stem.weight": torch.zeros(1, 1)}, "other.pth")
    torch.save([1, 2], "list.pth")
    places = {"other": "other.pth", "list": "list.pth", "budget": folder / "budget.toml",
              "json": folder / "report.json"}  # fmt: skip
    done = run(*[argument.format(**places) for argument in arguments])
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout


def test_a_run_without_single_neurons_says_so_when_channels_are_asked_for(run, folder, tmp_path):
    table = json.loads((folder / "report.json").read_text())
    for neuron in table["run"]["neurons"]:
        neuron["detail"] = None
    (tmp_path / "plain.json").write_text(json.dumps(table))
    done = run(tmp_path / "plain.json", "--by", "channel")
    assert done.returncode == 2
    assert "did not count single neurons" in done.stderr
