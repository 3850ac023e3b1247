"""A bundle: what is in it by the kind of its data, the same bytes each time, and nothing private."""

import hashlib
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from rocrate.rocrate import ROCrate
from tests.ctmar.bundles.conftest import FinishedStudy, pseudonym_of

from ctmar.bundles.bundle_contents import PublishedStudy
from ctmar.bundles.bundle_writer import write_bundle
from ctmar.bundles.crate import Publication
from ctmar.bundles.patient_names import pseudonyms_in
from ctmar.bundles.private_traces import refuse_traces
from ctmar.bundles.study_provenance import Given, describe_study, write_study_provenance
from ctmar.config import load_config
from ctmar.errors import InputError


def publish(study: FinishedStudy, output: Path, **options) -> Path:
    write_bundle(PublishedStudy(study.results, study.reports, **options), output, Publication())
    return output


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def public(tiny_study, tmp_path_factory) -> Path:
    """The bundle of a study of public CT, as a folder with a blank in its name."""
    return publish(tiny_study, tmp_path_factory.mktemp("out") / "my bundle")


def test_the_same_study_gives_the_same_bytes(tiny_study, public, tmp_path):
    first, second = (publish(tiny_study, tmp_path / name) for name in ("a.zip", "b.zip"))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {name: archive.read(name) for name in archive.namelist()} == contents(public)


def test_every_file_has_its_checksum(public):
    found = contents(public)
    lines = [line.split("  ", 1) for line in found.pop("checksums.sha256").decode().splitlines()]
    assert {name: digest for digest, name in lines} == {
        name: hashlib.sha256(content).hexdigest() for name, content in found.items()
    }


def test_public_ct_is_shown_and_slices_are_not_copied_twice(public):
    names = set(contents(public))
    assert {"report/index.html", "results/data/catalogue.csv", "results/references/examples.npz"} <= names
    assert len([name for name in names if name.endswith("weights.pt")]) == 4
    assert len([name for name in names if name.endswith("examples.npz")]) == 5
    assert {
        "code/workflow/Snakefile",
        "code/src/ctmar/cli/bundles.py",
        "code/envs/cpu.txt",
        "inputs/ctmar-sources.json",
    } <= names
    assert not [name for name in names if name.endswith((".h5", ".parquet", ".dcm"))]


PICTURES = ("examples.npz", "thumbnails.npz")


def test_of_somebodys_own_ct_no_image_and_no_pseudonym_leaves(own_study, tmp_path):
    found = contents(publish(own_study, tmp_path / "bundle"))
    assert pseudonyms_in(own_study.results.joinpath("data", "split.csv").read_bytes())
    for name, content in found.items():
        if not name.startswith("code/"):
            assert not name.endswith((*PICTURES, "index.html", "dataset_card.md", "catalogue.csv", "quarantine.csv")), (
                name
            )
            assert not pseudonyms_in(content), name
    assert b"/somebody" not in b"".join(found.values())
    # patients in the order of their pseudonyms, so that sorted tables stay sorted
    ordered = sorted(pseudonym_of(number) for number in "012")
    numbers = {pseudonym: f"p-{place:06d}" for place, pseudonym in enumerate(ordered, 1)}
    rows = found["results/data/split.csv"].decode().splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == [numbers[pseudonym_of(number)] for number in "012"]
    assert "source.folder" in found["README.md"].decode()


def test_with_images_the_report_comes_too_and_still_no_pseudonym(own_study, tmp_path):
    found = contents(publish(own_study, tmp_path / "bundle", with_images=True))
    assert b"<p>index.html of p-00000" in found["report/index.html"]
    assert not any(pseudonyms_in(content) for name, content in found.items() if not name.startswith("code/"))
    assert not [name for name in found if name.endswith(PICTURES)]
    assert [name for name in found if name.endswith("kernels.npz")]  # weights


def test_masks_of_the_users_own_hide_the_images_of_public_ct_too(copied, tmp_path):
    config = yaml.safe_load((copied.results / "config.yaml").read_text())
    config["simulation"] = {"masks": "folder", "mask_folder": "masks"}
    (copied.results / "config.yaml").write_text(yaml.safe_dump(config))
    copied.finish()
    found = contents(publish(copied, tmp_path / "bundle"))
    assert not [name for name in found if name.endswith((*PICTURES, "index.html"))]
    assert "simulation.mask_folder" in found["README.md"].decode()


def test_the_configuration_finds_code_and_manifest_beside_itself(copied, tmp_path):
    code = [tmp_path / name for name in ("b_norms.py", "a_metrics.py")]  # they run in this order
    for path in code:
        path.write_text("x = 1\n")
    manifest = tmp_path / "mine.csv"
    manifest.write_text("series\n")
    config = yaml.safe_load((copied.results / "config.yaml").read_text())
    config |= {"extensions": [str(path) for path in code], "source": {"kind": "idc", "manifest": str(manifest)}}
    (copied.results / "config.yaml").write_text(yaml.safe_dump(config))
    given = Given(manifest=manifest, own_code=code)
    given.keep(copied.results / "inputs")
    record = describe_study(copied.results, copied.config, copied.reports, given)
    write_study_provenance(record, copied.results / "provenance.json")
    bundle = publish(copied, tmp_path / "bundle")
    found = load_config(bundle / "config.yaml")
    assert [path.resolve() for path in found.extensions] == [bundle / "inputs" / path.name for path in code]
    assert found.source.manifest.read_text() == "series\n"
    assert found.study == copied.config.study
    assert "read it first" in (bundle / "README.md").read_text()


def test_the_crate_names_files_that_are_there(public):
    crate = ROCrate(public)
    assert crate.mainEntity.id == "code/workflow/Snakefile"
    assert crate.license.id == "https://spdx.org/licenses/MIT"
    assert crate.root_dataset["author"]["name"] == "The equiproj developers"
    for entity in crate.data_entities:
        assert (public / entity.id).exists(), entity.id
    run = crate.get("#run")
    assert run["instrument"] == crate.mainEntity
    assert {part.id for part in run["result"]} == {"results/", "report/", "provenance.json"}
    graph = json.loads((public / "ro-crate-metadata.json").read_text())["@graph"]
    profiles = next(node for node in graph if node["@id"] == "./")["conformsTo"]
    assert [one["@id"] for one in profiles] == [
        "https://w3id.org/ro/wfrun/process/0.5",
        "https://w3id.org/ro/wfrun/workflow/0.5",
        "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
    ]


def test_without_the_workflow_the_crate_claims_a_process_alone(tiny_study, tmp_path):
    study = PublishedStudy(tiny_study.results, tiny_study.reports)
    installed = replace(study.checkout)
    vars(installed)["files"] = {name: path for name, path in study.checkout.files.items() if "workflow/" not in name}
    write_bundle(replace(study, checkout=installed), tmp_path / "bundle", Publication(authors=["Ada L."]))
    crate = ROCrate(tmp_path / "bundle")
    assert crate.mainEntity is None
    assert crate.get("#run")["instrument"].type == "SoftwareApplication"
    assert crate.root_dataset["conformsTo"].id == "https://w3id.org/ro/wfrun/process/0.5"
    assert crate.root_dataset["author"]["name"] == "Ada L."


@pytest.mark.parametrize("name", ["cost.csv", "summary/models.csv", "runs/dncnn/plain/seed-0/weights.pt"])
def test_a_result_that_changed_since_is_named(copied, tmp_path, name):
    path = copied.results / name
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(InputError, match=rf"{name}: expected the file of the provenance, found another"):
        publish(copied, tmp_path / "bundle")
    path.unlink()
    with pytest.raises(InputError, match=rf"{name}: expected a file of the study, found none"):
        publish(copied, tmp_path / "bundle")


def test_other_code_than_that_of_the_study_is_not_published(copied, tmp_path):
    path = copied.results / "provenance.json"
    record = json.loads(path.read_text())
    record["code"]["source_sha256"] = "0" * 64
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"provenance\.json: expected the code of this checkout"):
        publish(copied, tmp_path / "bundle")


@pytest.mark.parametrize(
    "title", ["by wanda_canary", "on WORKHORSE-7", "of /home/wanda/ct", r"C:\Users\wanda\ct", "{cwd}"]
)
def test_a_name_or_a_path_of_this_machine_is_refused_and_leaves_nothing(copied, tmp_path, monkeypatch, title):
    monkeypatch.setattr("getpass.getuser", lambda: "wanda_canary")
    monkeypatch.setattr("socket.gethostname", lambda: "workhorse-7.example.org")
    (copied.reports / "model_card.md").write_text(f"made {title.format(cwd=Path.cwd())}")
    copied.finish()
    for output in (tmp_path / "bundle", tmp_path / "bundle.zip"):
        with pytest.raises(InputError, match=r"report/model_card\.md: expected nothing of this machine"):
            publish(copied, output)
    assert not list(tmp_path.glob("*bundle*"))


def test_a_name_that_is_meant_may_stand(copied, tmp_path, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "wanda_canary")
    (copied.reports / "model_card.md").write_text("by Wanda_Canary")
    copied.finish()
    study = PublishedStudy(copied.results, copied.reports)
    assert write_bundle(study, tmp_path / "bundle", Publication(), allowed=["wanda_canary"]) > 0


def test_paths_are_found_inside_arrays_and_archives(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/srv/wanda")
    np.savez_compressed(tmp_path / "a.npz", names=np.array(["x", "/srv/wanda/ct/1"]))
    with pytest.raises(InputError, match=r"a\.npz: .*the home folder"):
        refuse_traces({"a.npz": (tmp_path / "a.npz").read_bytes()}, [], [], False)


def test_a_name_that_our_own_source_has_tells_nothing(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "berndt")
    entries = {"code/README.md": b"Berndt and others", "report/index.html": b"cites Berndt"}
    refuse_traces(entries, [], [], False)
    with pytest.raises(InputError, match="the name of the user"):
        refuse_traces({**entries, "code/README.md": b"others"}, [], [], False)


def test_an_example_of_our_own_source_may_name_a_home_and_a_file_of_the_study_may_not(monkeypatch):
    monkeypatch.setenv("HOME", "/srv/wanda")
    refuse_traces({"code/src/a.py": b'>>> f("/home/jane/x")'}, [], [], False)
    with pytest.raises(InputError, match=r"inputs/a\.py: .*the home folder of a user"):
        refuse_traces({"inputs/a.py": b'f("/home/jane/x")'}, [], [], False)
    with pytest.raises(InputError, match=r"code/src/a\.py: .*the home folder"):
        refuse_traces({"code/src/a.py": b'f("/srv/wanda/x")'}, [], [], False)


def test_a_pseudonym_in_an_array_of_own_ct_is_refused(own_study, tmp_path):
    np.savez_compressed(tmp_path / "a.npz", patient=np.array([pseudonym_of("0")]))
    with pytest.raises(InputError, match="expected no pseudonym of a patient"):
        refuse_traces({"a.npz": (tmp_path / "a.npz").read_bytes()}, [], [], True)


def test_a_folder_that_is_there_is_not_touched(tiny_study, tmp_path):
    (tmp_path / "bundle").mkdir()
    with pytest.raises(InputError, match=r"bundle: expected a folder that is not there yet"):
        publish(tiny_study, tmp_path / "bundle")


def test_a_study_without_provenance_is_named(copied, tmp_path):
    (copied.results / "provenance.json").unlink()
    with pytest.raises(InputError, match=r"provenance\.json: expected what `ctmar provenance` writes"):
        publish(copied, tmp_path / "bundle")
    shutil.rmtree(copied.root)
