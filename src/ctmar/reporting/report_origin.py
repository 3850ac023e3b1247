"""Where the report comes from: code, software, devices, seeds, checksums and the configuration, without secrets."""

from typing import Any

import yaml

from ctmar.config import Config
from ctmar.reporting.study_files import StudyTables
from ctmar.store.checkout import Checkout
from ctmar.store.code_digest import CodeDigests
from ctmar.store.provenance import package_versions

PACKAGES = ("equiproj", "torch", "numpy", "pandas", "altair", "vl-convert-python", "jinja2")


def provenance(results: StudyTables) -> dict[str, str]:
    """What made the results, as pairs of a name and a text."""
    recorded: dict[str, list[str]] = {}
    records = [*results.records, *results.diverged]
    for record in records:
        for name, value in _flat(record.description.provenance.model_dump()).items():
            recorded.setdefault(name, []).append(value)
    devices = sorted({record.description.device for record in records})
    return {
        "git commit of this report": Checkout().said,
        "source of both packages, SHA-256": CodeDigests().of_source,
        "software of this report": _listing(package_versions(PACKAGES)),
        "devices of training": ", ".join(devices),
        "seeds": ", ".join(str(seed) for seed in sorted({record.seed for record in records})),
        # runs of one study should agree; where they do not, the reader must see it
        **{f"runs: {name}": "; ".join(dict.fromkeys(values)) for name, values in recorded.items()},
    }


def public_config(config: Config) -> str:
    """The configuration as YAML, without paths of the user's machine."""
    values = config.published()
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100))


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in record.items():
        if value is None or value == {}:
            continue
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, dict) and all(isinstance(inner, str) for inner in value.values()):
            flat[name] = _listing(value)
        elif isinstance(value, dict):
            flat |= _flat(value, f"{name}, ")
        else:
            flat[name] = str(value)
    return flat


def _listing(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
