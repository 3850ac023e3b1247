import dataclasses
import itertools
import json
import re

import numpy as np
import pytest
import torch
from huggingface_hub import DatasetCard, ModelCard
from tests.ctmar.reporting.conftest import N_SERIES

from ctmar.models.build import build_network
from ctmar.reporting.cards import write_dataset_card, write_model_card
from ctmar.reporting.study_files import read_results


@pytest.fixture(scope="module")
def cards(results, config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    return {
        "model": write_model_card(results, config, folder / "model_card.md").read_text(),
        "dataset": write_dataset_card(results, config, folder / "dataset_card.md").read_text(),
    }


def test_dataset_card_names_licence_and_citation_of_every_source(cards, study):
    for source in json.loads(study.sources.read_text()):
        part = cards["dataset"].partition(f"### {source['patient']}\n")[2].partition("###")[0]
        assert f"Licence: {source['licence']}" in part
        assert source["citation"] in part
        assert source["sha256"] in part


def test_dataset_card_names_the_broken_symmetry(results, config, cards, tmp_path):
    assert "broken symmetry" not in cards["dataset"]
    runs = [group.model_copy(update={"asymmetry": [0.0, 0.4]}) for group in config.study.runs]
    turned = config.model_copy(update={"study": config.study.model_copy(update={"runs": runs})})
    text = write_dataset_card(results, turned, tmp_path / "card.md").read_text()
    assert "; broken symmetry (`motion`) of the strengths ε = 0.0, 0.4; the masks" in text


def test_dataset_card_says_what_was_left_out(cards):
    assert "| little body | none needed | 12 |" in cards["dataset"]
    assert "fewer than 256 rows" in cards["dataset"]


def test_model_card_has_one_row_for_each_method(cards, results):
    rows = [line for line in cards["model"].splitlines() if line.startswith("| dncnn |")]
    labels = [row.split(" | ")[1] for row in rows]
    assert len(rows) == N_SERIES
    assert labels[:3] == ["Plain", "Rotation augmentation", "EQ-Reg, λ = 10⁻³"]
    assert "Projection, Frobenius, λ⊥ = 10⁻²" in labels
    assert f"{results.models.iloc[0]['psnr_db_mean']:.2f}" in rows[0]
    assert "Not a medical device" in cards["model"]


def test_tables_of_the_model_card_have_as_many_cells_as_headings(cards):
    lines = cards["model"].splitlines()
    for index, line in enumerate(lines):
        if line.startswith("|---"):
            n_columns = line.count("|")
            for row in itertools.takewhile(lambda row: row.startswith("|"), lines[index - 1 :]):
                assert row.replace("\\|", "").count("|") == n_columns


def test_model_card_says_how_models_were_trained_and_what_they_are(cards, config):
    text = cards["model"]
    assert "31,440 parameters" in text
    assert "| Length | 8 epochs of 50 steps |" in text
    assert "PSNR, dB (fixed)" in text
    assert "PSNR, dB (official)" in text
    for name in ("**Strictly equivariant**", "**Softness**", "Finzi et al. 2021", "## Limits"):
        assert name in text


def test_dataset_card_shows_the_numbers_of_quality_control(cards):
    assert "| aorta-ct | 1 | 191 | 64 | 1.5 | −1024 | 1532 | −412.5 | 0.41 | train |" in cards["dataset"]


def test_series_of_the_imaging_data_commons_bring_their_citations(study, config, tmp_path):
    source = {
        "patient": "torso-ct",
        "kind": "dicom",
        "path": "uuid",
        "package": "Imaging Data Commons, stageii_colorectal_ct",
        "version": "v20",
        "sha256": "ab" * 32,
        "licence": "CC BY 4.0",
        "licence_file": "",
        "citation": "doi 10.7937/p5k5-tg43; Imaging Data Commons, doi 10.1148/rg.230180",
        "description": "CT, ABDOMEN, 120 slices",
    }
    listing = tmp_path / "ctmar-sources.json"
    listing.write_text(json.dumps([source]))
    idc = config.model_copy(
        update={"source": config.source.model_copy(update={"kind": "idc", "manifest": tmp_path / "manifest.csv"})}
    )
    tables = read_results(dataclasses.replace(study, sources=listing), config)
    text = write_dataset_card(tables, idc, tmp_path / "card.md").read_text()
    assert "doi 10.7937/p5k5-tg43; Imaging Data Commons, doi 10.1148/rg.230180" in text
    assert "Imaging Data Commons, stageii\\_colorectal\\_ct v20, list of MD5" in text
    assert "public CT" in write_model_card(tables, idc, tmp_path / "model.md").read_text()


@pytest.mark.parametrize("card", ["model", "dataset"])
def test_hostile_text_and_secrets_stay_out(cards, card):
    assert "<script" not in cards[card]
    assert "a-secret-of-the-hospital" not in cards[card]


def test_own_data_carry_the_licence_of_the_configuration(results, config, tmp_path):
    own = config.model_copy(
        update={
            "source": config.source.model_copy(update={"kind": "dicom_dir", "licence": "CC BY 4.0", "citation": "us"})
        }
    )
    text = write_dataset_card(dataclasses.replace(results, sources=[]), own, tmp_path / "card.md").read_text()
    assert "- Licence: CC BY 4.0" in text
    assert "- Citation: us" in text


def test_only_the_patients_of_the_study_are_told_of(study, config, tmp_path):
    """`ctmar acquire` brings more patients than a study may take."""
    listing = tmp_path / "ctmar-sources.json"
    others = [dict(source, patient="chest-lidc") for source in json.loads(study.sources.read_text())]
    listing.write_text(json.dumps([*json.loads(study.sources.read_text()), *others]))
    cards = [
        write_dataset_card(read_results(inputs, config), config, tmp_path / f"{number}.md").read_text()
        for number, inputs in enumerate((study, dataclasses.replace(study, sources=listing)))
    ]
    assert cards[0] == cards[1]


def test_the_hub_reads_the_model_card(cards, results):
    """The library of the hub itself: its results are those of models.csv, and its metadata survive a round trip."""
    card = ModelCard(cards["model"], ignore_metadata_errors=False)
    assert (card.data.license, card.data.library_name, card.data.pipeline_tag) == ("mit", "equiproj", "image-to-image")
    named = [(result.metric_name, result.metric_value) for result in card.data.eval_results]
    plain = results.models.iloc[0]
    assert len(named) == 4 * N_SERIES
    assert named[:4] == [
        ("PSNR, protocol fixed [dB]", round(plain["psnr_db_mean"], 4)),
        ("SSIM, protocol fixed", round(plain["ssim_mean"], 4)),
        ("PSNR, protocol official [dB]", round(plain["psnr_official_db_mean"], 4)),
        ("SSIM, protocol official", round(plain["ssim_official_mean"], 4)),
    ]
    assert card.text.lstrip().startswith("# Model card")


def test_the_hub_reads_the_dataset_card(cards):
    card = DatasetCard(cards["dataset"], ignore_metadata_errors=False)
    assert card.data.license == "apache-2.0"
    assert card.data.task_categories == ["image-to-image"]
    assert card.data.size_categories == ["n<1K"]
    for heading in ("Motivation", "Balance", "Collection", "Preprocessing", "Uses", "Privacy", "Maintenance"):
        assert f"## {heading}\n" in cards["dataset"]


def test_licences_that_set_conditions_are_told_and_where_their_patients_are(study, results, config, tmp_path):
    """A slice that is only tested restricts its pictures; one that trains restricts the weights, too."""
    listing = json.loads(study.sources.read_text())
    for patient, subset, licence in (("head-693", "test", "mit"), ("aorta-ct", "train", "other")):
        sources = [one | {"licence": "CC BY-NC-SA 4.0"} if one["patient"] == patient else one for one in listing]
        changed = dataclasses.replace(results, sources=sources)
        data = write_dataset_card(changed, config, tmp_path / "data.md").read_text()
        assert f"- {patient} (CC BY-NC-SA 4.0): in {subset}. " in data
        assert "without gain only, under the same licence, and with the source named" in data
        assert set(DatasetCard(data).data.license) == {"apache-2.0", "cc-by-nc-sa-4.0"}
        model = write_model_card(changed, config, tmp_path / "model.md").read_text()
        assert ModelCard(model).data.license == licence


def test_balance_names_how_many_slices_each_patient_has(cards):
    assert "21 test slices (with 4 pairs of slice and metal each) come from 2 patients: 20 and 1." in cards["dataset"]


def test_checkpoints_of_every_seed_with_the_digest_that_the_jobs_listed(results, config, tmp_path):
    folder = tmp_path / "results"
    (folder / "summary").mkdir(parents=True)
    digest = "5a" * 32
    (folder / "runs.sha256").write_text(f"{digest}  dncnn/plain/seed-1/weights.pt\n")
    moved = dataclasses.replace(results, references_folder=folder / "references")
    moved.references_folder.mkdir()
    text = write_model_card(moved, config, tmp_path / "card.md").read_text()
    assert f"| Plain | 1 | runs/dncnn/plain/seed-1/weights.pt | `{digest}` |" in text
    rows = re.findall(r"^\| (.*) \| (\d+) \| runs/\S+weights\.pt \| `(.+)` \|$", text, re.MULTILINE)
    assert len(rows) == 3 * N_SERIES
    assert {seed for _, seed, _ in rows} == {"0", "1", "2"}


def test_the_snippet_runs(cards, results, config, tmp_path, monkeypatch):
    """As it stands in the card, in a folder that holds the weights of that run."""
    snippet = re.search(r"```python\n(.*?)```", cards["model"], re.DOTALL)[1]
    record = results.records[0]
    folder = tmp_path / re.search(r'Path\("(results/.*)"\)', snippet)[1]
    folder.mkdir(parents=True)
    described = record.description.model_copy(update={"network": config.study.networks["dncnn"]})
    (folder / "run.json").write_text(described.model_dump_json())
    network = build_network("dncnn", fields=4, depth=6)
    torch.save(network.state_dict(), folder / "weights.pt")
    monkeypatch.chdir(tmp_path)
    found: dict[str, np.ndarray] = {}
    exec(compile(snippet, "snippet", "exec"), found)
    size = config.ingest.image_size
    assert found["corrected"].shape == (1, size, size)
    assert np.isfinite(found["corrected"]).all()


def test_subgroups_and_compute(cards, results):
    part = cards["model"].partition("## Subgroups")[2].partition("## Compute")[0]
    titanium = results.materials[(results.materials["metal"] == "titanium") & (results.materials["method"] == "plain")]
    assert f" {titanium['psnr_db_mean'].iloc[0]:.2f} [" in part
    n = len(results.records)
    assert f"{n} trainings took {20 * n / 60:.1f} min one after the other, each 20.0 s in the median" in cards["model"]
