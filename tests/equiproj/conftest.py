from importlib.util import find_spec

import pytest
import torch
from benchmarks.subspaces import import_escnn
from torch import Tensor, nn


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same numbers, whichever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def escnn():
    """The escnn library, its planar groups."""
    if find_spec("escnn") is None:
        pytest.skip("escnn is not installed")
    return import_escnn()


class Residual(nn.Module):
    """A convolution network with a shortcut; layers of two signatures besides the first and the last."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.head = nn.Conv2d(1, 8, 3, padding=1, bias=bias)
        self.body = nn.ModuleList(nn.Conv2d(8, 8, 5, padding=2, bias=bias) for _ in range(3))
        self.tail = nn.Conv2d(8, 1, 3, padding=1, bias=bias)

    def forward(self, images: Tensor) -> Tensor:
        features = self.head(images)
        for layer in self.body:
            features = features + torch.relu(layer(features))
        return self.tail(features)


@pytest.fixture
def network() -> Residual:
    """Freshly initialised, the same in every test."""
    torch.manual_seed(0)
    return Residual()


@pytest.fixture
def unbiased() -> Residual:
    """The same without biases: its weights alone decide whether it is equivariant."""
    torch.manual_seed(0)
    return Residual(bias=False)
