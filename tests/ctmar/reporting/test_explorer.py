import dataclasses
import json

import numpy as np
import pytest
from tests.ctmar.reporting.test_packed_images import unpack

from ctmar.config import Report
from ctmar.errors import InputError
from ctmar.reporting.example_images import read_example_pairs
from ctmar.reporting.explorer import build_explorer
from ctmar.units import attenuation_to_hu

ROOMY = 10_000_000


@pytest.fixture(scope="module")
def pairs(results):
    return read_example_pairs(results, "dncnn")


@pytest.fixture(scope="module")
def explorer(pairs):
    return build_explorer(pairs, Report(), ROOMY)


def unpacked(example):
    bases = [*(image.base for image in example.images), *(one.upright for one in example.turned), None]
    return unpack(example.data, bases, (example.size, example.size))


def test_every_image_of_the_files_is_there_to_half_a_step(explorer, results):
    with np.load(results.references_folder / "examples.npz") as file:
        references = {name: attenuation_to_hu(file[name]) for name in ("image", "ma_CT", "LI_CT", "NMAR_CT")}
        masks = file["mask"]
    plain = next(record for record in results.records if record.identity[1] == "plain")
    with np.load(plain.folder.examples) as file:
        references["plain"] = attenuation_to_hu(file["prediction"])
    assert len(explorer.examples) == 3
    for index, example in enumerate(explorer.examples):
        assert example.step_hu == 1.0
        assert [image.name for image in example.images][:5] == ["Ground truth", "Input", "LI", "NMAR", "Plain"]
        images = unpacked(example)
        for found, stack in zip(images, references.values(), strict=False):
            assert np.abs(found - stack[index]).max() <= 0.5  # HU
        assert np.array_equal(images[-1], masks[index])


def test_outputs_for_turned_inputs_go_with_the_pair_of_the_largest_metal(explorer, results):
    *others, last = explorer.examples
    assert not any(example.turned for example in others)
    models = [index for index, image in enumerate(last.images) if image.quality and index > 3]
    assert [(one.upright, one.turns) for one in last.turned] == [(m, turns) for m in models for turns in (1, 2, 3)]
    plain = next(record for record in results.records if record.identity[1] == "plain")
    with np.load(plain.folder.examples) as file:
        kept = attenuation_to_hu(file["turned_back"][0])
    found = np.array(unpacked(last)[len(last.images) : len(last.images) + 3])
    assert np.abs(found - kept).max() <= 0.5


def test_facts_are_json_with_the_quality_of_the_tables(explorer, pairs):
    facts = json.loads(json.dumps(explorer.facts))
    assert facts["windows"][0] == ["As in the report", -175.0, 275.0]
    assert 200.0 in facts["limits_hu"]
    shown = facts["examples"][1]["images"]
    assert [image["quality"] for image in shown[1:]] == [str(image.quality) for image in pairs[1].images]
    assert [image["name"] for image in shown if image["at_first"]] == [
        "Ground truth",
        "Input",
        "Plain",
        "Projection, Frobenius, λ⊥\xa0=\xa010⁻²",
    ]


def test_examples_that_do_not_fit_are_counted(explorer, pairs):
    budget = len(explorer.examples[0].data) + len(explorer.examples[1].data)
    tight = build_explorer(pairs, Report(), budget)
    assert (tight.examples, tight.n_left_out) == (explorer.examples[:2], 1)
    assert build_explorer(pairs, Report(), 0).examples == []


def test_an_image_with_nan_is_refused(pairs):
    broken = dataclasses.replace(pairs[0], truth_hu=np.full_like(pairs[0].truth_hu, np.nan))
    with pytest.raises(InputError, match="expected finite values"):
        build_explorer([broken], Report(), ROOMY)
