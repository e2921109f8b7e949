"""The part each site plays: as the caller says, else as the model says, else a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Literal, get_args

from torch import nn

from analysis.errors import InputError
from analysis.records import Role, SiteRecord

Source = Literal["user", "model", "guess"]


class Roles:
    """Looks up roles by patterns of module paths.

    Args:
        model: May declare ``site_roles``, patterns -> roles.
        named: The caller's patterns, which come first.

    Raises:
        InputError: If a role is unknown, or a pattern of the caller fits no module.
    """

    def __init__(self, model: nn.Module, named: Mapping[str, Role]) -> None:
        if not isinstance(named, Mapping):
            raise InputError(f"roles are a dictionary of patterns and roles, not {named!r}")
        unknown = sorted(set(named.values()) - set(get_args(Role)))
        if unknown:
            raise InputError(
                f"unknown role {', '.join(unknown)}; known: {', '.join(get_args(Role))}"
            )
        modules = [name for name, _ in model.named_modules()]
        for pattern in named:
            if not any(fnmatchcase(name, pattern) for name in modules):
                raise InputError(f"no module fits the pattern {pattern!r} of a role")
        declared: Mapping[str, Role] = getattr(model, "site_roles", {})
        self._patterns: list[tuple[Source, str, Role]] = [
            *(("user", pattern, role) for pattern, role in named.items()),
            *(("model", pattern, role) for pattern, role in declared.items()),
        ]

    def of(self, name: str) -> tuple[Role, Source]:
        """The role of a site and who said so."""
        for source, pattern, role in self._patterns:
            if fnmatchcase(name, pattern):
                return role, source
        return "other", "guess"

    def assign(self, record: SiteRecord, aliases: Mapping[str, tuple[str, ...]]) -> SiteRecord:
        """A record with its role and the further names of its module."""
        role, source = self.of(record.key.name)
        if source == "guess" and record.origin == "image":
            role = "stem"  # it reads the data themselves
        names = aliases.get(record.key.name, ())
        return replace(record, role=role, role_source=source, aliases=names)
