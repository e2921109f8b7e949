"""A pytest fixture that holds a model to its budget; loaded by pytest on its own.

    def test_budget(spike_budget):
        spike_budget(model, loader, "budget.toml")

``pytest --write-spike-budgets`` writes the budget files instead of checking them. Importing this
needs neither torch nor pandas: every pytest run of an environment loads it.
"""

from __future__ import annotations

from collections.abc import Callable
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
