"""Models the tests of several files share."""

from __future__ import annotations

from torch import nn


class OnTheEdge(nn.Module):
    """Fires where x/3 * 3 > x: rounding decides, differently in float32 and float64."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2, bias=False)

    def forward(self, x):
        return self.layer((x / 3 * 3 > x).to(x.dtype))
