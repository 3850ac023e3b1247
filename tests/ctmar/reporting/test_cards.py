import dataclasses
import itertools
import json

import pytest
from tests.ctmar.reporting.conftest import N_SERIES

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
    tables = read_results(dataclasses.replace(study, sources=listing))
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
        write_dataset_card(read_results(inputs), config, tmp_path / f"{number}.md").read_text()
        for number, inputs in enumerate((study, dataclasses.replace(study, sources=listing)))
    ]
    assert cards[0] == cards[1]
