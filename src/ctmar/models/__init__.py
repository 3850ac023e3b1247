"""Networks that correct metal artefacts in CT images."""

from ctmar.models.build import build_network

__all__ = ["build_network"]
