"""`gac-analyze --conventions`: every convention, its fields, every price list."""

from __future__ import annotations

from analysis.energy.conventions import PAPERS, PRESETS, meaning, rules
from analysis.energy.technology import technology, technology_names


def explanation() -> str:
    """All of it as text."""
    lines = ["Conventions: how counted operations become accumulates and multiply-accumulates", ""]
    for rule in (PRESETS | PAPERS).values():
        settings = ", ".join(f"{name} {getattr(rule, name)}" for name in rules())
        lines += [f"{rule.name}", f"    {settings}", f"    source: {rule.source}"]
    lines += ["", "Each field can be changed: gac-analyze --convention operand --stem once", ""]
    lines += [f"--{name.replace('_', '-'):12} {meaning(name)}" for name in rules()]
    lines += ["", "Price lists (--technology), or a TOML file of the same form", ""]
    for name in technology_names():
        prices = technology(name)
        lines += [prices.describe(), f"    {prices.description}; {prices.sources()}"]
    return "\n".join(lines)
