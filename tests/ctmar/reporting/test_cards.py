import json

import pytest

from ctmar.reporting.cards import write_dataset_card, write_model_card


@pytest.fixture(scope="module")
def cards(study, config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    return {
        "model": write_model_card(study, config, folder / "model_card.md").read_text(),
        "dataset": write_dataset_card(study, config, folder / "dataset_card.md").read_text(),
    }


def test_dataset_card_names_licence_and_citation_of_every_source(cards, study):
    for source in json.loads(study.sources.read_text()):
        part = cards["dataset"].partition(f"### {source['patient']}\n")[2].partition("###")[0]
        assert f"Licence: {source['licence']}" in part
        assert source["citation"] in part
        assert source["sha256"] in part


def test_dataset_card_says_what_was_left_out(cards):
    assert "| little body | none needed | 12 |" in cards["dataset"]
    assert "fewer than 256 rows" in cards["dataset"]


def test_model_card_has_one_row_for_each_method(cards, results):
    rows = [line for line in cards["model"].splitlines() if line.startswith("| dncnn |")]
    assert [row.split(" | ")[1] for row in rows] == [
        "Plain",
        "Rotation augmentation",
        "EQ-Reg, λ = 10⁻³",
        "Projection, Frobenius, λ⊥ = 10⁻²",
    ]
    assert f"{results.models.iloc[0]['psnr_db_mean']:.2f}" in rows[0]
    assert "Not a medical device" in cards["model"]


@pytest.mark.parametrize("card", ["model", "dataset"])
def test_hostile_text_and_secrets_stay_out(cards, card):
    assert "<script" not in cards[card]
    assert "a-secret-of-the-hospital" not in cards[card]


def test_own_data_carry_the_licence_of_the_configuration(study, config, tmp_path):
    import dataclasses

    own = config.model_copy(
        update={
            "source": config.source.model_copy(update={"kind": "dicom_dir", "licence": "CC BY 4.0", "citation": "us"})
        }
    )
    text = write_dataset_card(dataclasses.replace(study, sources=None), own, tmp_path / "card.md").read_text()
    assert "- Licence: CC BY 4.0" in text
    assert "- Citation: us" in text
