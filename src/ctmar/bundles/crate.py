"""The metadata of a bundle as an RO-Crate: what the files are, and the run of the workflow that made them.

RO-Crate 1.1 with the profiles Process Run Crate and, where the workflow is in the bundle, Workflow Run Crate 0.5
(https://www.researchobject.org/workflow-run-crate/). The run is told as a whole: which step made
which file is not claimed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from rocrate.model import ContextEntity
from rocrate.rocrate import ROCrate

from ctmar.bundles.bundle_contents import Entries, read_content
from ctmar.bundles.study_provenance import StudyProvenance
from ctmar.store.citation import parse_citation

METADATA = "ro-crate-metadata.json"
_WORKFLOW = "code/workflow/Snakefile"
_SOFTWARE_LICENCE = "https://spdx.org/licenses/MIT"
_BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_PAPER = "https://arxiv.org/abs/2601.05028"
_PROFILES = {  # address, name, version; all but the first need the workflow itself
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_FOLDERS = {
    "code/": "Code and workflow",
    "inputs/": "What the study was given",
    "report/": "Report and cards",
    "results/": "Results: weights, measurements, tables and verdicts",
}
_FILES = {
    "README.md": ("How to read this bundle and run the study again", "text/markdown"),
    "config.yaml": ("Configuration of the study, defaults filled in", "application/yaml"),
    "provenance.json": ("Code, configuration, environment, machine and checksums", "application/json"),
    "environment.txt": ("Versions of the packages that the study ran with", "text/plain"),
    "report/index.html": ("Report of the study", "text/html"),
    "report/model_card.md": ("Model card", "text/markdown"),
    "report/dataset_card.md": ("Dataset card", "text/markdown"),
    "results/summary/models.csv": ("Measures of every model with intervals", "text/csv"),
    "results/summary/claims.json": ("The paper's claims with verdicts", "application/json"),
    "results/summary/questions.json": ("Primary and further questions with verdicts", "application/json"),
}


@dataclass(frozen=True)
class Publication:
    """Who publishes, and under which licence (its address); without authors those of the software."""

    authors: Sequence[str] = ()
    licence: str = _SOFTWARE_LICENCE


def crate_metadata(entries: Entries, record: StudyProvenance, publication: Publication) -> bytes:
    """``ro-crate-metadata.json`` of a bundle.

    Args:
        entries: contents of the bundle by name.
        record: where the study came from.
        publication: authors and licence.
    """
    crate: Any = ROCrate(version="1.1")
    crate.root_dataset["datePublished"] = record.newest_result  # else it is now
    instrument = _add_instrument(crate, record, entries)
    _describe_root(crate, record, publication, software_authors(entries))
    parts = {name: _add_part(crate, name, entries) for name in (*_FILES, *_FOLDERS)}
    present = {name: part for name, part in parts.items() if part is not None}
    run = crate.add_action(
        instrument,
        identifier="#run",
        object=[present[name] for name in ("config.yaml", "inputs/") if name in present],
        result=[present[name] for name in ("results/", "report/", "provenance.json") if name in present],
        properties={
            "name": f"Run of the study {record.study}",
            "endTime": record.newest_result,
            "actionStatus": "http://schema.org/CompletedActionStatus",
            "description": f"Trainings on {', '.join(record.runs.devices)} ({', '.join(record.runs.processors)})",
        },
    )
    crate.root_dataset["mentions"] = run
    text = json.dumps(crate.metadata.generate(), indent=2, sort_keys=True, ensure_ascii=False)
    return (text + "\n").encode()


def software_authors(entries: Entries) -> list[str]:
    """The authors of the software, from its CITATION.cff, and where that is not installed from its metadata."""
    if "code/CITATION.cff" in entries:
        return list(parse_citation(read_content(entries["code/CITATION.cff"])).authors)
    return [metadata.metadata("equiproj")["Author"]]


def _describe_root(crate: Any, record: StudyProvenance, publication: Publication, software: Sequence[str]) -> None:
    licence = {"@type": "CreativeWork", "name": publication.licence, "description": "Licence of this bundle"}
    crate.license = crate.add(ContextEntity(crate, publication.licence, properties=licence))
    crate.name = record.configuration.published["report"]["title"]
    crate.description = (
        f"The study {record.study} of equiproj {record.code.version}: {record.runs.n_runs} trained networks with their"
        " measurements, tables, verdicts and report, its configuration, code and environment."
    )
    crate.root_dataset["author"] = _add_authors(crate, publication.authors or software)
    crate.root_dataset["conformsTo"] = _one_or_list(
        [
            crate.add(
                ContextEntity(crate, address, properties={"@type": "CreativeWork", "name": name, "version": version})
            )
            for address, (name, version) in _PROFILES.items()
            if crate.mainEntity is not None or name == "Process Run Crate"
        ]
    )


def _add_instrument(crate: Any, record: StudyProvenance, entries: Entries) -> Any:
    """What ran: the workflow, where it is in the bundle, else the software by its name and version."""
    software = {
        "name": "equiproj",
        "version": record.code.version + (f" ({record.code.commit})" if record.code.commit else ""),
        "license": {"@id": _SOFTWARE_LICENCE},
        "author": _add_authors(crate, software_authors(entries)),
    }
    if _WORKFLOW not in entries:
        properties = {"@type": "SoftwareApplication", "url": _PAPER, **software}
        return crate.add(ContextEntity(crate, "#equiproj", properties=properties))
    version = record.environment.packages.get("snakemake", "unknown")
    kind = {"url": _PAPER, "encodingFormat": "text/plain", "conformsTo": {"@id": _BIOSCHEMAS}}
    return crate.add_workflow(
        dest_path=_WORKFLOW, main=True, lang="snakemake", lang_version=version, properties=software | kind
    )


def _add_authors(crate: Any, names: Sequence[str]) -> Any:
    """Persons or groups by name: a name does not tell which it is, so that its article decides."""
    found = []
    for name in names:
        kind = "Organization" if name.lower().startswith("the ") else "Person"
        address = "#" + "-".join(name.split())
        properties = {"@type": kind, "name": name}
        found.append(crate.get(address) or crate.add(ContextEntity(crate, address, properties=properties)))
    return _one_or_list(found)


def _one_or_list(values: list[Any]) -> Any:
    """As RO-Crate writes them: one value without a list."""
    return values[0] if len(values) == 1 else values


def _add_part(crate: Any, name: str, entries: Entries) -> Any:
    """A file or folder of the bundle; None where it is not there."""
    if name in _FOLDERS:
        inside = any(one.startswith(name) for one in entries)
        return crate.add_dataset(dest_path=name, properties={"name": _FOLDERS[name]}) if inside else None
    if name not in entries:
        return None
    title, kind = _FILES[name]
    properties: dict[str, Any] = {
        "name": title,
        "encodingFormat": kind,
        "contentSize": str(len(read_content(entries[name]))),
    }
    if name == "README.md":
        properties["about"] = {"@id": "./"}
    return crate.add_file(dest_path=name, properties=properties)
