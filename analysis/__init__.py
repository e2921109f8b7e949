"""Exact spike, operation and energy counts for any torch model.

Everything is imported on first use, so that a command line that only prints its help does not
load torch or pandas.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "Comparison": "analysis.reporting.comparison",
    "Convention": "analysis.energy.conventions",
    "Framework": "analysis.frameworks",
    "InputError": "analysis.errors",
    "Report": "analysis.reporting.report",
    "Technology": "analysis.energy.technology",
    "Until": "analysis.counting.sampling",
    "analyze": "analysis.pipeline",
    "compare": "analysis.reporting.comparison",
    "convention": "analysis.energy.conventions",
    "estimate": "analysis.pipeline",
    "published": "analysis.energy.published",
    "read_report": "analysis.reporting.writers",
    "register_framework": "analysis.frameworks",
    "register_operation": "analysis.counting.operations",
    "technology": "analysis.energy.technology",
}
__all__ = ["coding", *_HOME]


def __getattr__(name: str) -> Any:
    if name == "coding":
        return import_module("analysis.coding")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
