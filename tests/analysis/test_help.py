"""What all three commands have: help in one style, a version, short names, quiet."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from analysis.cli import analyze, evaluate, train

COMMANDS = {"gac-analyze": analyze.main, "gac-train": train.main, "gac-eval": evaluate.main}


@pytest.fixture(params=COMMANDS)
def command(request, entry_point):
    made = entry_point(request.param, COMMANDS[request.param])
    made.program = request.param
    return made


@pytest.mark.parametrize(("columns", "width"), [(40, 60), (72, 72), (100, 100), (300, 100)])
def test_help_is_as_wide_as_the_terminal_within_reason(command, monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", str(columns))
    done = command("--help")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(len(line) for line in lines) <= width
    assert lines[0].startswith(f"Usage: {command.program} [OPTIONS]")
    for line in ("More:", "Examples:"):
        assert line in lines
    assert any(line.startswith("Exit status: 0 ") for line in lines)
    assert "--output" in done.stdout


def test_help_has_a_short_name(command):
    assert command("-h").stdout == command("--help").stdout


def test_the_version_is_told(command):
    assert command("--version") == (0, f"{command.program} {version('gac-energy')}\n", "")


def test_a_quiet_run_prints_nothing_and_writes_everything(entry_point, tmp_path):
    run = entry_point("gac-analyze", analyze.main)
    loud = run("--samples", 2, "-o", tmp_path / "loud")
    quiet = run("--samples", 2, "-o", tmp_path / "quiet", "--quiet")
    assert quiet == (0, "", "")
    assert loud.stdout
    names = [sorted(f.name for f in (tmp_path / name).iterdir()) for name in ("loud", "quiet")]
    assert names[0] == names[1]
    refused = run("missing.pth", "--quiet")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "missing.pth does not exist" in refused.stderr


def test_an_estimate_an_evaluation_and_a_dry_run_may_be_quiet_too(entry_point, tmp_path):
    assert entry_point("gac-analyze", analyze.main)(
        "--arch", "msresnet8", "--rates", "0.1", "-q"
    ) == (0, "", "")
    out = tmp_path / "counts.json"
    assert entry_point("gac-eval", evaluate.main)("-q", "-o", out) == (0, "", "")
    assert out.exists()
    assert entry_point("gac-train", train.main)("--dry-run", "-q", "-o", tmp_path) == (0, "", "")


def test_a_broken_budget_is_told_by_the_status_of_a_quiet_run(entry_point, tmp_path):
    budget = tmp_path / "budget.toml"
    budget.write_text("schema = 1\n[total]\nenergy_pj = { max = 1 }\n")
    done = entry_point("gac-analyze", analyze.main)("--samples", 2, "--budget", budget, "-q")
    assert (done.returncode, done.stdout) == (1, "")
