"""State dictionaries as the authors' programs write them, filled by a formula."""

import torch

BLOCKS = 3


def _proximal(prefix: str, n_channels: int, *, threshold: bool) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {f"{prefix}.tau": (1, n_channels, 1, 1)} if threshold else {}
    for block in range(BLOCKS):
        for position in (0, 3):
            shapes[f"{prefix}.layer.{block}.{position}.weight"] = (n_channels, n_channels, 3, 3)
            shapes[f"{prefix}.layer.{block}.{position}.bias"] = (n_channels,)
        for position in (1, 4):
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{prefix}.layer.{block}.{position}.{part}"] = (n_channels,)
            shapes[f"{prefix}.layer.{block}.{position}.num_batches_tracked"] = ()
    return shapes


def acdnet_shapes(stages: int, maps: int, extra: int, atoms: int) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of ACDNet_latest.pt."""
    shapes: dict[str, tuple[int, ...]] = {
        "eta1_T": (stages, 1),
        "eta2_T": (stages, 1),
        "eta3_T": (stages, 1),
        "etaM_nonK": (1, 1),
        "etaX_nonK": (2, 1),
        "D": (1, atoms, 9, 9),
        "D0": (1, maps, 9, 9),
        "Cp": (extra, 1, 3, 3),
        "tau": (1,),
        "tau_extend": (1,),
        "convert_conv_layer1": (maps, maps, 1, 1),
        "convert_conv_layer2": (maps, maps, 1, 1),
    }
    images = ["proxNet_X_0", "proxNet_X_last_layer", "proxNet_X_init.0", "proxNet_X_init.1"]
    for prefix in images + [f"proxNet_X_T.{stage}" for stage in range(stages)]:
        shapes |= _proximal(prefix, extra + 1, threshold=False)
    for prefix in ["proxNet_M_init.0", "proxNet_M_init.1"] + [f"proxNet_M_T.{stage}" for stage in range(stages)]:
        shapes |= _proximal(prefix, maps, threshold=True)
    size = maps * atoms
    for stage in range(stages):
        shapes[f"proxNet_K_T.{stage}.tau"] = (1, maps, atoms)
        for layer in (0, 2):
            shapes[f"proxNet_K_T.{stage}.layer.0.{layer}.weight"] = (size, size)
            shapes[f"proxNet_K_T.{stage}.layer.0.{layer}.bias"] = (size,)
    return shapes


def _unrolled_shapes(letter: str, stages: int, channels: int, extra: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "etaM_S": (stages - 1, 1),
        "etaX_S": (stages, 1),
        f"{letter}0": (1, channels, 9, 9),
        f"{letter}_q": (extra, 1, 3, 3),
        "tau": (1,),
    }
    for prefix in ["proxNet_X_0", "proxNet_X_last_layer"] + [f"proxNet_X_S.{stage}" for stage in range(stages)]:
        shapes |= _proximal(prefix, extra + 1, threshold=False)
    for stage in range(stages):
        shapes |= _proximal(f"proxNet_M_S.{stage}", channels, threshold=True)
    return shapes


def dicdnet_shapes(stages: int, maps: int, extra: int) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of DICDNet_latest.pt."""
    return _unrolled_shapes("K", stages, maps, extra) | {"K": (1, maps, 9, 9)}


def oscnet_shapes(stages: int, maps: int, rotations: int, extra: int) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of OSCNet's net_latest.pt, without the filter that evaluation adds."""
    shapes = _unrolled_shapes("C", stages, maps * rotations, extra)
    return shapes | {"fcnn.Basis": (9, 9, rotations, 25), "fcnn.weights": (maps, 1, 1, 25), "fcnn.c": (1, 1, 1, 1)}


def oscnetplus_shapes(stages: int, maps: int, rotations: int, extra: int) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of OSCNet+'s net_latest.pt."""
    shapes = _unrolled_shapes("C", stages, maps * rotations, extra)
    shapes |= {"fcnn.Basis": (9, 9, rotations, 25), "fcnn.c": (1, 1, 1, 1)}
    for index, n_in in enumerate((2, 6, 6), start=1):
        shapes |= {f"fcnn.wnet.conv{index}.weight": (6, n_in, 3, 3), f"fcnn.wnet.conv{index}.bias": (6,)}
    return shapes | {"fcnn.wnet.f1.weight": (maps * 25, 6), "fcnn.wnet.f1.bias": (maps * 25,)}


SHAPES = {
    "acdnet": acdnet_shapes(stages=2, maps=4, extra=5, atoms=6),
    "dicdnet": dicdnet_shapes(stages=3, maps=32, extra=5),
    "oscnet": oscnet_shapes(stages=3, maps=2, rotations=4, extra=5),
    "oscnetplus": oscnetplus_shapes(stages=3, maps=2, rotations=4, extra=5),
}
SETTINGS = {
    "acdnet": {"n_stages": 2, "n_maps": 4, "n_extra_channels": 5, "n_atoms": 6},
    "dicdnet": {"n_stages": 3, "n_extra_channels": 5},
    "oscnet": {"n_stages": 3, "n_maps": 2, "n_rotations": 4, "n_extra_channels": 5},
    "oscnetplus": {"n_stages": 3, "n_maps": 2, "n_rotations": 4, "n_extra_channels": 5},
}


def sine_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """0.02 sin(0.7 i + 0.3), i counting all numbers by sorted key; 1 more for scales, steps and thresholds."""
    state, start = {}, 0
    for key in sorted(shapes):
        if not shapes[key]:
            state[key] = torch.tensor(1)
            continue
        count = int(torch.Size(shapes[key]).numel())
        values = 0.02 * torch.sin(0.7 * torch.arange(start, start + count, dtype=torch.float64) + 0.3)
        is_scale = key.endswith("running_var") or (key.endswith(".weight") and len(shapes[key]) == 1)
        state[key] = (values + (is_scale or key.startswith(("eta", "tau")))).reshape(shapes[key]).float()
        start += count
    return state


def sine_images() -> torch.Tensor:
    """Two images of 12 × 13 pixels between 0 and 2, and a mask."""
    index = torch.arange(2 * 3 * 12 * 13, dtype=torch.float64).reshape(2, 3, 12, 13)
    images = 1 + torch.sin(0.31 * index)
    images[:, 2] = (images[:, 2] > 1.9).double()
    return images.float()
