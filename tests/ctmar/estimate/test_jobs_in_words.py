"""The demands in words are those of the workflow."""

from ctmar.config import Config, Site
from ctmar.estimate.jobs_in_words import jobs_text

STUDY = {
    "source": {"patients": ["a", "b", "c"]},
    "training": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 2, "patch_size": 16, "device": "cuda"},
    "study": {
        "networks": {"n": {"settings": {"fields": 1, "depth": 2}}},
        "runs_per_job": 2,
        "runs": [{"method": "plain"}],
    },
}


def test_every_kind_of_job_has_a_line():
    lines = jobs_text(Config.model_validate(STUDY), Site(trainings_per_gpu=2)).splitlines()
    assert "assumptions" in lines[0]
    assert any(
        line.startswith("  1 × train n, 2 of its trainings at a time: ") and "MB of a GPU" in line for line in lines
    )
    assert any(line.startswith("  1 × train n: ") for line in lines)  # the third seed
    named = {line.split(" × ")[1].split(":")[0].split()[0] for line in lines[1:]}
    assert named == {"train", "cost", "ingest", "simulate", "evaluate_references", "summarise", "report"}


def test_on_a_cpu_no_gpu_is_spoken_of():
    text = jobs_text(Config.model_validate(STUDY | {"training": {"device": "cpu"}}), Site())
    assert "GPU" not in text
