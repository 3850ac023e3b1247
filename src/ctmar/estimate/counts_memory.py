"""The counts of a study's networks, remembered from one process to the next: counting waits for torch."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from ctmar.config import Config, Network
from ctmar.config.own_code import own_code_sha256
from ctmar.errors import InputError
from ctmar.estimate.work_counts import Counts, NetworkCounts
from ctmar.store.atomic import atomic_path


def counts_of_networks(config: Config, memory: Path, code: str) -> dict[str, NetworkCounts]:
    """What a step and a prediction of every network of a study amount to, by the name of the network.

    Args:
        config: the study.
        memory: a file that keeps counts.
        code: digest of the code that builds and trains networks.

    Raises:
        InputError: a network cannot be built.
    """
    keys = {name: _key(config, network, code) for name, network in config.study.networks.items()}
    known = _read(memory)
    missing = {name: key for name, key in keys.items() if key not in known}
    if missing:
        from ctmar.estimate.step_counts import count_network  # needs torch, which takes its time

        for name, key in missing.items():
            network, size = config.study.networks[name], config.ingest.image_size
            known[key] = count_network(network, config.training, config.study.group, size)
        _write(memory, known)
    return {name: known[key] for name, key in keys.items()}


def _key(config: Config, network: Network, code: str) -> str:
    shaping = {"batch_size", "patch_size", "accumulation", "loss", "device"}
    own = [name for name in config.study.own_code if name == network.architecture]
    texts = (
        network.model_dump_json(exclude={"weights"}),
        config.training.model_dump_json(include=shaping),
        config.study.group,
        str(config.ingest.image_size),
        json.dumps(own_code_sha256(own), sort_keys=True),
        code,
    )
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _read(memory: Path) -> dict[str, NetworkCounts]:
    with suppress(OSError, ValueError, TypeError, AttributeError):  # none, or not one of ours: it is made again
        found = json.loads(memory.read_text())
        return {key: NetworkCounts(size, Counts(*step), Counts(*slice_)) for key, (size, step, slice_) in found.items()}
    return {}


def _write(memory: Path, known: dict[str, NetworkCounts]) -> None:
    with suppress(OSError, InputError), atomic_path(memory) as temporary:  # where nobody may write
        temporary.write_text(json.dumps(known))
