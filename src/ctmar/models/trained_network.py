"""Networks as `ctmar train` leaves them in the folder of a run."""

import torch
from torch import nn

from ctmar.errors import InputError
from ctmar.models.build import build_network
from ctmar.models.device import choose_device
from ctmar.models.published import load_weights
from ctmar.models.symmetry import study_group
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_records import RunDescription


def load_network(folder: RunFolder, settings: RunDescription, device: str = "cpu") -> nn.Module:
    """The network of a run with its weights, ready to predict.

    Args:
        folder: where the weights are.
        settings: what the run says of its network.
        device: cpu or cuda.

    Raises:
        InputError: the training diverged; the weights are missing, unreadable, or of another network; or there is no
            such device.
    """
    if settings.diverged is not None:
        raise InputError(f"{folder}: expected a trained network, found a training that diverged {settings.diverged}")
    where = choose_device(device)
    network = build_network(
        settings.network.architecture, **{"group_order": study_group(settings.group).order, **settings.network.settings}
    )
    layout = torch.channels_last if settings.training.channels_last else torch.contiguous_format
    return load_weights(network, folder.weights).eval().to(where).to(memory_format=layout)  # type: ignore[call-overload]
