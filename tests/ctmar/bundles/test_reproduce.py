"""A re-run beside a bundle: equal, within the tolerance, beyond it, another verdict; and bundles that attack."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from tests.ctmar.bundles.conftest import FinishedStudy
from typer.testing import CliRunner

from ctmar.bundles.bundle_contents import PublishedStudy
from ctmar.bundles.bundle_writer import checksum_list, write_bundle
from ctmar.bundles.crate import Publication
from ctmar.bundles.opened_bundle import opened_bundle
from ctmar.bundles.reproduction import reproduce
from ctmar.bundles.reproduction_text import Outcome, largest_psnr, outcome, text
from ctmar.cli import app
from ctmar.errors import InputError
from ctmar.evaluation.rerun import differing_origins, psnr_spread
from ctmar.reporting.kernel_section import read_kernels
from ctmar.store.run_folder import RunFolder
from ctmar.store.tables import read_rows, write_rows

PLAIN = "runs/dncnn/plain/seed-0"


@pytest.fixture(scope="module")
def archive(tiny_study, tmp_path_factory) -> Path:
    """The bundle of the study as a file."""
    path = tmp_path_factory.mktemp("archive") / "tiny study.zip"
    write_bundle(PublishedStudy(tiny_study.results, tiny_study.reports), path, Publication())
    return path


def brighten(study: FinishedStudy, run: str, by_db: float) -> None:
    """Other numbers for one run, as if it had been trained with other kernels; the summary follows."""
    path = study.results / run / "slices.csv"
    rows = read_rows(path, ("psnr_db",))
    write_rows(path, list(rows[0]), [row | {"psnr_db": str(float(row["psnr_db"]) + by_db)} for row in rows])
    state = torch.load(study.results / run / "weights.pt", weights_only=True)
    first = next(iter(state))
    torch.save(state | {first: state[first] + 2.0**-10}, study.results / run / "weights.pt")
    study.summarise()


def test_the_same_study_is_equal_and_its_summary_follows_from_its_runs(archive, tiny_study):
    found = reproduce(archive, [tiny_study.results])
    assert outcome(found, 0.0) is Outcome.SAME
    tables = {path.name for path in (tiny_study.results / "summary").iterdir()} - {"slices.parquet"}
    assert set(found.remade) == tables >= {"models.csv", "claims.json"}
    assert all(found.remade.values())
    (rerun,) = found.reruns
    assert [pair.weights_equal for pair in rerun.runs] == [True] * 4
    assert psnr_spread(rerun.runs)[:2] == (0.0, 0.0)
    assert largest_psnr(found.comparison) == 0.0
    assert "weights of 4 of 4 runs equal" in text(found, archive, 0.2)


def test_differences_are_those_that_were_put_in(archive, copied):
    brighten(copied, PLAIN, 0.5)
    found = reproduce(archive, [copied.results])
    (rerun,) = found.reruns
    pair = next(pair for pair in rerun.runs if "plain" in pair.name and "seed-0" in pair.name)
    assert pair.weights_equal is False
    assert pair.largest_weight == pytest.approx(2.0**-10)
    assert pair.psnr_db == pytest.approx(0.5)
    largest, median, n_slices = psnr_spread(rerun.runs)
    assert (largest, median, n_slices) == (pytest.approx(0.5), 0.0, 4 * len(pair.psnr_db))
    # of two seeds one is 0.5 dB better
    assert largest_psnr(found.comparison) == pytest.approx(0.25)
    assert outcome(found, 0.3) is Outcome.SAME
    assert outcome(found, 0.2) is Outcome.BEYOND_TOLERANCE
    assert "weights of 3 of 4 runs equal" in text(found, archive, 0.2)


def test_another_verdict_counts_and_one_of_times_alone_does_not(archive, copied):
    path = copied.results / "summary" / "questions.json"
    questions = json.loads(path.read_text())
    questions[0]["verdict"] = "agrees" if questions[0]["verdict"] != "agrees" else "disagrees"
    path.write_text(json.dumps(questions))
    found = reproduce(archive, [copied.results])
    # made again with the bundle's own times the verdict is the bundle's: what turned it was not the runs
    assert found.by_times_alone == {questions[0]["claim"]}
    assert outcome(found, 0.2) is Outcome.SAME
    assert f"turned by the times of steps alone: {questions[0]['claim']}" in text(found, archive, 0.2)
    brighten(copied, "runs/dncnn/projection,norm=frobenius,lam_perp=0.1/seed-0", 60.0)
    brighten(copied, "runs/dncnn/projection,norm=frobenius,lam_perp=0.1/seed-1", 60.0)
    found = reproduce(archive, [copied.results])
    turned = [row["claim"] for row in found.comparison["verdicts"] if len(set(row["verdict"])) > 1]
    if set(turned) - found.by_times_alone:
        assert outcome(found, 100.0) is Outcome.VERDICT_TURNED
    else:
        assert outcome(found, 0.2) is Outcome.BEYOND_TOLERANCE


def test_other_software_and_processors_are_named(archive, copied):
    for path in (copied.results / "runs").rglob("run.json"):
        folder = RunFolder(path.parent)
        description = folder.read_description()
        origin = description.provenance.model_copy(update={"processor": "VSX"})
        folder.write_description(description.model_copy(update={"provenance": origin}))
    found = reproduce(archive, [copied.results])
    ((name, one, other, n),) = differing_origins(found.reruns[0].runs)
    assert (name, other, n) == ("provenance.processor", "VSX", 4)
    assert f"provenance.processor: {one} in the bundle, VSX here (4 of 4 runs)" in text(found, archive, 0.2)
    assert found.comparison["processors"] == [one, "VSX"]


def test_the_report_shows_what_is_written(archive, copied, tmp_path):
    brighten(copied, PLAIN, 0.5)
    arguments = [
        "reproduce",
        str(archive),
        "--against",
        str(copied.results),
        "--output",
        str(tmp_path / "kernels.json"),
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == Outcome.BEYOND_TOLERANCE.value, done.output
    section = read_kernels(tmp_path / "kernels.json")
    assert section.settings[0].startswith("bundle (")
    assert any(name == "PSNR [dB]" and spread != "0" for name, _, spread, _ in section.spreads)


def test_a_folder_and_another_bundle_do_as_well(archive, tmp_path):
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(tmp_path / "un packed")
    found = reproduce(tmp_path / "un packed", [archive])
    assert outcome(found, 0.0) is Outcome.SAME


def test_own_ct_is_compared_although_patients_have_other_names(own_study, tmp_path):
    write_bundle(PublishedStudy(own_study.results, own_study.reports), tmp_path / "bundle", Publication())
    found = reproduce(tmp_path / "bundle", [own_study.results])
    assert outcome(found, 0.0) is Outcome.SAME
    assert all(found.remade.values())  # numbers have the order of the pseudonyms
    assert differing_origins(found.reruns[0].runs) == []


@pytest.mark.parametrize("what", ["nothing", "runs"])
def test_a_folder_that_is_no_rerun_is_named(archive, copied, tmp_path, what):
    if what == "nothing":
        with pytest.raises(InputError, match="expected the results of a study"):
            reproduce(archive, [tmp_path])
        return
    (copied.results / PLAIN / "run.json").unlink()
    with pytest.raises(InputError, match=r"plain/seed-0/run\.json: expected a file written by `ctmar train`"):
        reproduce(archive, [copied.results])


@pytest.fixture
def folder(archive, tmp_path) -> Path:
    """The bundle as a folder that a test may damage."""
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(tmp_path / "bundle")
    return tmp_path / "bundle"


def sign(folder: Path) -> None:
    """Checksums of what is there now: an attacker writes them too."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    names.remove("checksums.sha256")
    (folder / "checksums.sha256").write_bytes(checksum_list({name: (folder / name).read_bytes() for name in names}))


def opens(path: Path) -> None:
    with opened_bundle(path):
        pass


def test_a_changed_a_missing_and_a_surplus_file_are_named(folder):
    opens(folder)
    table = folder / "results" / "summary" / "models.csv"
    content = table.read_bytes()
    table.write_bytes(content.replace(b"plain", b"plane"))
    with pytest.raises(InputError, match=r"models\.csv': expected the file of its checksum, found another"):
        opens(folder)
    table.unlink()
    with pytest.raises(InputError, match=r"models\.csv': expected the file by checksums\.sha256, found none"):
        opens(folder)
    table.write_bytes(content)
    (folder / "run me.sh").write_text("")
    with pytest.raises(InputError, match=r"run me\.sh': expected no such file by checksums\.sha256, found one"):
        opens(folder)


class Attack:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("HACKED",)


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_pickled_weights_are_refused_and_do_not_run(folder, monkeypatch, tmp_path, kind):
    monkeypatch.chdir(tmp_path)
    weights = folder / "results" / PLAIN / "weights.pt"
    if kind == "pickle":
        weights.write_bytes(pickle.dumps(Attack()))
    else:
        torch.save({"a": Attack()}, weights)
    sign(folder)
    with pytest.raises(InputError, match=r"weights\.pt: expected a state dictionary"):
        opens(folder)
    assert not (tmp_path / "HACKED").exists()


def test_links_and_pipes_are_refused(folder, tmp_path):
    (tmp_path / "secret").write_text("x")
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="'link': expected a plain file"):
        opens(folder)
    (folder / "link").unlink()
    (folder / "results" / "above").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(InputError, match="'results/above': expected a plain file"):
        opens(folder)
    (folder / "results" / "above").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(InputError, match="'pipe': expected a plain file"):
        opens(folder)


def attacked(archive: Path, target: Path, name: str | zipfile.ZipInfo, content: bytes = b"x") -> Path:
    """The archive with one more member."""
    target.write_bytes(archive.read_bytes())
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(name, content)
    return target


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "a/../../escaped", "..\\escaped", "README.md/x"])
def test_names_that_lead_out_are_refused(archive, tmp_path, name):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="expected a plain file in the bundle"):
        opens(attacked(archive, tmp_path / "in" / "b.zip", name))
    assert not list(tmp_path.rglob("escaped"))


def test_a_link_inside_an_archive_is_refused(archive, tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with pytest.raises(InputError, match="'link': expected a plain file in the bundle, found: a link"):
        opens(attacked(archive, tmp_path / "b.zip", link, b"/etc/passwd"))


def test_a_bomb_is_refused(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("zeros", bytes(50_000_000))
    (tmp_path / "b.zip").write_bytes(content.getvalue())
    with pytest.raises(InputError, match="unpacks to more than the limits allow"):
        opens(tmp_path / "b.zip")


@pytest.mark.parametrize("text", ["", "[]", '{"study": "x"}', '{"study": 1, "host": "x"}'])
def test_a_provenance_that_is_none_is_named(folder, text):
    (folder / "provenance.json").write_text(text)
    sign(folder)
    with pytest.raises(InputError, match=r"provenance\.json: "):
        reproduce(folder)


def test_a_text_of_a_bundle_cannot_steer_a_terminal(folder, archive):
    path = folder / "provenance.json"
    record = json.loads(path.read_text())
    record["code"]["commit"] = "\x1b]0;owned\x07"
    path.write_text(json.dumps(record))
    sign(folder)
    shown = text(reproduce(folder), archive, 0.2)
    assert "?]0;owned?" in shown
    assert "\x1b" not in shown


def test_a_number_that_is_expanded_to_terabytes_is_refused(folder):
    weights = folder / "results" / PLAIN / "weights.pt"
    state = torch.load(weights, weights_only=True)
    torch.save({name: value.flatten()[:1].expand(10**6, 10**6) for name, value in state.items()}, weights)
    sign(folder)
    with pytest.raises(InputError, match=r"weights\.pt: expected"):
        reproduce(folder)


@pytest.mark.parametrize("name", ["nothing.zip", "nothing", "a.txt"])
def test_what_is_no_bundle_is_named(tmp_path, name):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="expected a bundle"):
        opens(tmp_path / name)
    with pytest.raises(InputError, match=r"checksums\.sha256, found none"):
        opens(tmp_path)
