"""State dictionaries from files: the authors' and our own."""

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ctmar.errors import InputError
from ctmar.models.build import build_network
from ctmar.models.learnt_proximal import KeyMap

# what torch.load raises for damaged and foreign files: a text ends in KeyError or IndexError
UNREADABLE = (pickle.UnpicklingError, RuntimeError, EOFError, TypeError, ValueError, LookupError, AttributeError)


def load_published_weights(name: str, path: Path | str, **settings: Any) -> nn.Module:
    """Build a network and load weights that its authors, or `ctmar train`, wrote.

    Args:
        name: architecture, as for `build_network`.
        path: state dictionary (``.pt``), read with ``weights_only=True``.
        settings: of the network; those the weights were trained with.

    Raises:
        InputError: the file is missing, unreadable or of another network or other settings.
    """
    return load_weights(build_network(name, **settings), path)


def load_weights(module: nn.Module, path: Path | str) -> nn.Module:
    """Load a state dictionary into ``module``, which is returned; published key names are translated.

    Raises:
        InputError: the file is missing or unreadable, or a key or shape does not fit (nothing is loaded then), or
            an entry that follows from others does not.
    """
    found, surplus = read_state(Path(path)), {}
    expected, names = module.state_dict(), {key: key for key in found}
    if set(found) != set(expected):
        derived = _derived(module)
        surplus = {key: found.pop(key) for key in derived if key in found}
        names = {_rename(key, getattr(module, "PUBLISHED_KEYS", ())): key for key in found}
        found = {name: found[key] for name, key in names.items()}
    _check(Path(path), expected, found)
    for key, value in found.items():
        _check_finite(Path(path), names[key], value)
    module.load_state_dict(found)
    _check_derived(Path(path), module, surplus)
    return module


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dictionary by name, read with ``weights_only=True``; nothing is built.

    Raises:
        InputError: the file is missing, unreadable, or holds more than tensors of plain numbers, each written out.
    """
    _check_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that are refused below, in one line
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: expected a state dictionary, found {error.strerror or error}") from None
    except UNREADABLE:
        raise InputError(
            f"{path}: expected a state dictionary of torch.save, found another kind of file, a damaged one, or one"
            " that holds more than tensors"
        ) from None
    if not isinstance(content, dict) or not content:
        found = "an empty one" if content == {} else type(content).__name__
        raise InputError(f"{path}: expected a dictionary of tensors, found {found}")
    for key, value in content.items():
        _check_entry(path, key, value)
    # torch.nn.DataParallel puts the same word in front of every key
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _check_size(path: Path) -> None:
    """A file of torch.save is a zip archive that compresses nothing; another could unpack to any size."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: expected a state dictionary, found a damaged archive ({error})") from None
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > path.stat().st_size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise InputError(f"{path}: expected an archive of torch.save, found one that unpacks to {unpacked} bytes")


def _check_entry(path: Path, key: Any, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise InputError(f"{path}: expected a dictionary of tensors, found {type(value).__name__} under '{key}'")
    if value.layout != torch.strided or value.is_meta or value.is_complex() or value.is_quantized:
        kind = "meta" if value.is_meta else f"{value.layout}, {value.dtype}".replace("torch.", "")
        raise InputError(f"{path}: expected plain real numbers under '{key}', found a tensor of kind {kind}")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise InputError(f"{path}: expected every number of '{key}' in the file, found one that stands for many")


def _check_finite(path: Path, key: str, value: Tensor) -> None:
    if not torch.isfinite(value).all():
        raise InputError(f"{path}: expected finite numbers under '{key}', found NaN or infinity")


@torch.no_grad()
def _derived(module: nn.Module) -> dict[str, Tensor]:
    return cast(Any, module).published_derived() if hasattr(module, "published_derived") else {}


def _check_derived(path: Path, module: nn.Module, surplus: dict[str, Tensor]) -> None:
    for key, value in surplus.items():
        expected = _derived(module)[key].cpu()
        if value.shape != expected.shape or not torch.allclose(value.float(), expected, rtol=1e-3, atol=1e-5):
            raise InputError(f"{path}: expected '{key}' to follow from the other entries, found other numbers")


def _rename(key: str, rules: KeyMap) -> str:
    for pattern, replacement in rules:
        match = re.fullmatch(pattern, key)
        if match:
            return match.expand(replacement)
    return key


def _check(path: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    for key in expected:
        if key not in found:
            raise InputError(f"{path}: expected key '{key}' and {len(expected)} in all, found {len(found)} without it")
        if found[key].shape != expected[key].shape:
            wanted, got = tuple(expected[key].shape), tuple(found[key].shape)
            raise InputError(f"{path}: expected shape {wanted} for '{key}', found {got}; check the network's settings")
    surplus = sorted(set(found) - set(expected))
    if surplus:
        raise InputError(f"{path}: expected {len(expected)} keys, found '{surplus[0]}' and {len(surplus) - 1} more")
