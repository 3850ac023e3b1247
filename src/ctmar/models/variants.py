"""Named settings of every network, with their number of parameters: what `ctmar models` lists.

Settings compatible with C_4 have channels in whole fields of four: maps and atoms in multiples of 4, and beside the
image either N extra channels (1 + 4k channels, the image invariant) or, as EQ-Reg counts, 4k channels with the image.
Where the prior work compares networks of unequal size, a variant of equal size stands beside them.
"""

import inspect
from typing import Any, NamedTuple

from ctmar.models.build import NETWORKS, build_network


class Variant(NamedTuple):
    """Settings with a name."""

    name: str
    settings: dict[str, Any]
    description: str


_COMMUTING = {"normalisation": "field", "declare": "all"}
VARIANTS: dict[str, list[Variant]] = {
    "acdnet": [
        Variant("published", {}, "Wang et al. 2022"),
        Variant("eqreg_baseline", {"kernel_size": 5}, "unregularised ACDNet of EQ-Reg's table, 33 channels"),
        Variant(
            "eqreg",
            {"n_maps": 8, "n_extra_channels": 35, "kernel_size": 5},
            "regularised ACDNet of EQ-Reg's table, 36 channels = 9 fields × 4: a third larger than its baseline",
        ),
        Variant(
            "eqreg_equal_count",
            {"n_maps": 4, "n_extra_channels": 35, "kernel_size": 5},
            "36 channels = 9 fields × 4 at the size of eqreg_baseline",
        ),
        Variant(
            "c4_36_channels",
            {"n_extra_channels": 35, "n_atoms": 28},
            "36 channels = 9 fields × 4 at the published size; its 6 maps are no fields and not declared",
        ),
        Variant("c4", {"n_maps": 4, "n_atoms": 48}, "published 33 channels, maps and atoms in whole fields"),
        Variant(
            "c4_nearest",
            {"n_maps": 4, "n_extra_channels": 44, "n_atoms": 12},
            "maps, atoms and extra channels in whole fields, as near to the published size as they allow",
        ),
        Variant("commuting", {"n_maps": 4, "n_atoms": 48, **_COMMUTING}, "c4 that commutes as a whole once projected"),
    ],
    "dicdnet": [
        Variant("published", {}, "Wang et al. 2021; 32 maps and 1 + 32 channels are whole fields of C_4 already"),
        Variant("eqreg", {"n_extra_channels": 35}, "EQ-Reg's 36 channels = 9 fields × 4, a tenth larger"),
        Variant("c4_36_channels", {"n_maps": 28, "n_extra_channels": 35}, "36 channels at the published size"),
        Variant("commuting", {**_COMMUTING}, "published widths that commute as a whole once projected"),
    ],
    "oscnet": [
        Variant("published", {}, "Wang et al. 2022; 8 orientations carry C_4 as well as C_8"),
        Variant("eqreg", {"n_extra_channels": 35}, "EQ-Reg's 36 channels = 9 fields × 4, a tenth larger"),
        Variant("c4", {"n_maps": 8, "n_rotations": 4}, "as many channels, in regular fields of C_4"),
        Variant(
            "c4_36_channels",
            {"n_maps": 7, "n_rotations": 4, "n_extra_channels": 35},
            "36 channels = 9 fields × 4 at the published size",
        ),
        Variant("commuting", {**_COMMUTING}, "published widths that commute as a whole once projected"),
    ],
}
VARIANTS["oscnetplus"] = [
    variant._replace(description=variant.description.replace("Wang et al. 2022", "Wang et al. 2023"))
    for variant in VARIANTS["oscnet"]
]


def count_parameters(name: str, settings: dict[str, Any]) -> int:
    """Learnt numbers of a network.

    Examples:
        >>> count_parameters("dicdnet", {})
        1277332
    """
    return sum(parameter.numel() for parameter in build_network(name, **settings).parameters())


def describe_networks() -> list[dict[str, Any]]:
    """Every network: name, what it is, settings with defaults, parameters, and variants with theirs."""
    return [_describe(name) for name in NETWORKS]


def _describe(name: str) -> dict[str, Any]:
    network = NETWORKS[name]
    module = inspect.getmodule(network)
    variants = [
        {**variant._asdict(), "n_parameters": count_parameters(name, variant.settings)}
        for variant in VARIANTS.get(name, ())
    ]
    return {
        "name": name,
        "description": (inspect.getdoc(module) or "").splitlines()[0],
        "settings": {key: value.default for key, value in inspect.signature(network).parameters.items()},
        "n_parameters": count_parameters(name, {}),
        "variants": variants,
    }
