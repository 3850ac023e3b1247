"""Networks as `ctmar train` leaves them: a description of the run, and weights."""

import json
from pathlib import Path
from typing import Any

from torch import nn

from ctmar.config import Network
from ctmar.config.methods import METHODS
from ctmar.errors import InputError
from ctmar.models.build import build_network
from ctmar.models.device import choose_device
from ctmar.models.published import load_weights


def read_run_file(path: Path) -> dict[str, Any]:
    """The description of a run.

    Raises:
        InputError: the file is missing or is not a description of a run.
    """
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        Network.model_validate(description["network"])
        int(description["group_order"])
        METHODS[description["run"]["method"]]
        return description
    except OSError:
        raise InputError(f"{path}: run description not found; give the run.json of `ctmar train`") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a run description of `ctmar train` ({type(error).__name__})") from None


def load_network(weights: Path, description: dict[str, Any], device: str = "cpu") -> nn.Module:
    """The network of a run with its weights, or with those its authors published, ready to predict.

    Raises:
        InputError: the weights are missing, unreadable, or of another network; or there is no such device.
    """
    chosen = choose_device(device)
    network = Network.model_validate(description["network"])
    module = build_network(network.architecture, **{"group_order": description["group_order"], **network.settings})
    return load_weights(module, weights).eval().to(chosen)
