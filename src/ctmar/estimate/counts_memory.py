"""The counts of a study's networks, remembered from one process to the next: counting waits for torch."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ctmar.config import Config, Network
from ctmar.config.own_code import own_code_sha256
from ctmar.errors import InputError
from ctmar.estimate.work_counts import Counts, NetworkCounts
from ctmar.store.atomic import atomic_path
from ctmar.store.code_digest import SOURCE

# where Python keeps what it made of the source, for the studies of all folders; else in the folder of the study
MEMORIES = (SOURCE / "ctmar" / "__pycache__" / "network_counts.json", Path(".snakemake", "network_counts.json"))
_KEPT = 1000  # counts in a file; those of older code go first


def counts_of_networks(config: Config, code: str, memories: Sequence[Path] = MEMORIES) -> dict[str, NetworkCounts]:
    """What a step and a prediction of every network of a study amount to, by the name of the network.

    Args:
        config: the study.
        code: digest of the code that builds and trains networks.
        memories: files that keep counts; new ones go into the first that can be written.

    Raises:
        InputError: a network cannot be built.
    """
    keys = {name: _key(config, network, code) for name, network in config.study.networks.items()}
    known = {key: counts for memory in memories for key, counts in _read(memory).items()}
    missing = {name: key for name, key in keys.items() if key not in known}
    if missing:
        from ctmar.estimate.step_counts import count_network  # needs torch, which takes its time

        size = config.ingest.image_size
        new = {
            key: count_network(config.study.networks[name], config.training, config.study.group, size)
            for name, key in missing.items()
        }
        any(_add(memory, new) for memory in memories)  # no more than one
        known |= new
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


def _add(memory: Path, new: Mapping[str, NetworkCounts]) -> bool:
    """Add to what a file keeps by now, and say whether that was possible: it is not where nobody may write."""
    with suppress(OSError, InputError), atomic_path(memory) as temporary:
        kept = list({**_read(memory), **new}.items())[-_KEPT:]
        temporary.write_text(json.dumps(dict(kept)))
        return True
    return False
