"""A pytest fixture that holds a model to its budget; loaded by pytest on its own.

    def test_budget(spike_budget):
        spike_budget(model, loader, "budget.toml")

``pytest --write-spike-budgets`` writes the budget files instead of checking them. Every pytest run
of an environment imports this module, so it stands outside of the packages and imports none of
them before the fixture is asked for: a project with a folder ``analysis`` of its own keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from analysis.reporting.report import Report

_WRITE = "--write-spike-budgets"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option that writes budgets anew."""
    parser.getgroup("gac-energy").addoption(
        _WRITE, action="store_true", help="write the budgets of spike_budget instead of checking"
    )


@pytest.fixture
def spike_budget(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Checks a model against a budget file; see `check_budget` inside for the arguments."""
    _refuse_another_analysis()

    def check_budget(
        model: Any, batches: Any, budget: str | Path, *, margin: str = "10%", **settings: Any
    ) -> Report:
        """Analyses a model and fails the test where it breaks its budget.

        Args:
            model: Any torch model.
            batches: As for `analysis.analyze`.
            budget: The file; a relative path starts at pytest's root folder.
            margin: Of a budget that is written.
            settings: Passed on to `analysis.analyze`: ``steps=4``, say.

        Returns:
            The report, for further checks.
        """
        from analysis.errors import InputError
        from analysis.reporting.budgets.write import write_budget

        path = request.config.rootpath / budget
        write = request.config.getoption(_WRITE)
        try:
            report = _priced(model, batches, None if write else path, settings)
            if write:
                write_budget(report, path, margin)
                return report
            _hold(report, path)
        except InputError as error:
            raise pytest.fail.Exception(f"{budget}: {error}", pytrace=False) from None
        return report

    return check_budget


def _refuse_another_analysis() -> None:
    """Ours lies beside this file; Python may find another one first, and has room for one."""
    ours = Path(__file__).with_name("analysis") / "__init__.py"
    spec = find_spec("analysis")
    found = Path(spec.origin) if spec is not None and spec.origin else None
    if found is None or not found.exists() or not found.samefile(ours):
        pytest.fail(
            f"spike_budget: Python finds {found or 'no package'} under the name analysis here, not "
            "that of gac-energy; move the tests with spike_budget to a folder outside of this "
            "project and run `pytest` (not `python -m pytest`) there",
            pytrace=False,
        )


def _priced(model: Any, batches: Any, budget: Path | None, settings: dict[str, Any]) -> Report:
    """Analyses a model; a budget that can't be read is told before it runs."""
    from analysis.pipeline import analyze
    from analysis.reporting.budgets.budget import read_budget

    if budget is not None:
        read_budget(budget)
    return analyze(model, batches, **settings)


def _hold(report: Report, path: Path) -> None:
    from analysis.reporting.budgets.budget import read_budget
    from analysis.reporting.budgets.check import check
    from analysis.reporting.budgets.outputs import broken_table
    from analysis.reporting.terminal import plain_text

    findings = check(report, read_budget(path))
    if any(finding.broken for finding in findings):
        told = plain_text(broken_table(findings))
        pytest.fail(
            f"{told}\nIf this is meant to be: pytest {_WRITE}, and say why in the commit.",
            pytrace=False,
        )
