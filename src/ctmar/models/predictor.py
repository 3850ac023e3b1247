"""What a run predicts with: its network, or the average of its network over the group."""

from torch import nn

from ctmar.config.methods import METHODS
from equiproj.baselines import GroupAveraged
from equiproj.groups import FiniteGroup

# Turned copies counted. A GPU takes as many as the defect of any network is measured on at once by default; on a CPU,
# whose caches hold the features of one image, four at once took 1.6 to 2.1 times as long as one after the other.
IMAGES_AT_ONCE = {"cuda": 8, "cpu": 1}


def predictor_of(network: nn.Module, method: str, group: FiniteGroup) -> nn.Module:
    """What a run of ``method`` predicts with; it shares the weights of ``network``.

    Args:
        network: the network that the run trains, on its device.
        method: a name of `ctmar.config.methods`.
        group: the group of the study.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> network = nn.Conv2d(1, 1, 3, padding=1)
        >>> predictor_of(network, "plain", CyclicGroup(4)) is network
        True
    """
    if not METHODS[method].averages_predictions:
        return network
    device = next(network.parameters()).device.type
    return GroupAveraged(network, group, largest_batch=IMAGES_AT_ONCE[device])


def averaging_of(method: str, group: str) -> str:
    """What is to be said of a prediction beside the network; nothing where the network predicts by itself.

    Examples:
        >>> averaging_of("plain", "C4")
        ''
    """
    return f" averaged over {group}" if METHODS[method].averages_predictions else ""
