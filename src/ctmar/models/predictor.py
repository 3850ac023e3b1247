"""What a run predicts with: its network, or the average of its network over the group."""

from torch import nn

from ctmar.config.methods import METHODS
from equiproj.baselines import GroupAveraged
from equiproj.groups import CyclicGroup

IMAGES_AT_ONCE = 8  # turned copies counted: as many as the defect of any network is measured on at once by default


def predictor_of(network: nn.Module, method: str, group_order: int) -> nn.Module:
    """What a run of ``method`` predicts with; it shares the weights of ``network``.

    Args:
        network: the network that the run trains.
        method: a name of `ctmar.config.methods`.
        group_order: n of the rotation group C_n.

    Examples:
        >>> network = nn.Conv2d(1, 1, 3, padding=1)
        >>> predictor_of(network, "plain", 4) is network
        True
    """
    if not METHODS[method].averages_predictions:
        return network
    return GroupAveraged(network, CyclicGroup(group_order), largest_batch=IMAGES_AT_ONCE)


def averaging_of(method: str, group_order: int) -> str:
    """What is to be said of a prediction beside the network; nothing where the network predicts by itself.

    Examples:
        >>> averaging_of("plain", 4)
        ''
    """
    return f" averaged over C_{group_order}" if METHODS[method].averages_predictions else ""
