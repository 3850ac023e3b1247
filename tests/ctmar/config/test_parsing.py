"""A wrong configuration ends in one line that names the key."""

import json

import pytest

from ctmar.config import SHOWN_ONLY, Config, Run, Split, load_config, parse_settings, validate_section
from ctmar.config.section import PRIVATE_PATH
from ctmar.errors import InputError

RUNS = "study: {runs: [{method: plain}]}"


def message(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_settings(Config, text).study.expand()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"{RUNS}\ntrainig: {{}}", ["unknown key 'trainig'"]),
        (f"{RUNS}\ntraining: {{epoch: 3}}", ["unknown key 'training.epoch'"]),
        (f"{RUNS}\ntraining: {{epochs: many}}", ["'training.epochs'", "found 'many'"]),
        (f"{RUNS}\nsplit: {{fractions: {{train: 0.5, validation: 0.2, test: 0.2}}}}", ["split", "0.9"]),
        (f"{RUNS}\nsource: {{kind: dicom_dir}}", ["folder is needed"]),
        (f"{RUNS}\ntraining: {{betas: [1, 2]}}", ["'training.betas.0'", "less than 1", "found 1"]),
        (f"{RUNS}\ntraining: {{milestones: [-1]}}", ["'training.milestones.0'", "found -1"]),
        (f"{RUNS}\ntraining: {{learning_rate: .inf}}", ["'training.learning_rate'", "finite", "found inf"]),
        ("study: {runs: [{method: eqreg, lam_perp: [.inf]}]}", ["study.runs.0.lam_perp.0", "finite", "found inf"]),
        (f"{RUNS}\nsimulation: {{asymmetry: {{strength: 2}}}}", ["'simulation.asymmetry.strength'", "found 2"]),
        (f"{RUNS}\nsimulation: {{asymmetry: {{strength: 0.4}}}}", ["asymmetry.strength", "runs say it", "found 0.4"]),
        (
            "study: {runs: [{method: plain, asymmetry: [0, 0.4]}]}\nsource: {kind: syndeeplesion, folder: .}"
            "\nsimulation: {pairs: stored}",
            ["simulation.pairs 'stored'", "asymmetry 0", "found 0.4"],
        ),
        ("study: {runs: []}", ["'study.runs'"]),
        ("study: {runs: [{method: projection, norm: [frobenus]}]}", ["study.runs.0.norm.0", "frobenus", "spectral"]),
        ("study: {runs: [{method: projection}]}", ["study.runs.0", "needs a norm"]),
        ("study: {runs: [{method: plain, lam_perp: [1]}]}", ["study.runs.0", "has no weight"]),
        ("study: {runs: [{method: plain}, {method: plain}]}", ["study.runs", "written twice"]),
        ("study: {seeds: [0, -1], runs: [{method: plain}]}", ["'study.seeds.1'", "found -1"]),
        ("study: {runs: [{method: plain, seeds: []}]}", ["'study.runs.0.seeds'", "at least 1"]),
        ("study: {runs: [{method: eqreg, lam_perp: []}]}", ["'study.runs.0.lam_perp'", "at least 1"]),
        ("study: {networks: {}, runs: [{method: plain}]}", ["'study.networks'", "at least 1"]),
        ("study: {seeds: [yes], runs: [{method: plain}]}", ["'study.seeds'", "expected a number", "found [True]"]),
        (f"{RUNS}\ntraining: {{epochs: on}}", ["'training.epochs'", "expected a number", "found True"]),
        ("study: {runs: [{method: projection, norm: [no]}]}", ["study.runs.0.norm.0", "in quotes", "found False"]),
        ("study: {name: 2026-11-29, runs: [{method: plain}]}", ["'study.name'", "in quotes", "2026, 11, 29"]),
        (f"{RUNS}\ntraining: {{epochs: 1, epochs: 2}}", ["'epochs' is written twice, on line 2"]),
        (f"{RUNS}\ntraining: {{}}\ntraining: {{epochs: 2}}", ["'training' is written twice, on lines 2 and 3"]),
        ("study: {seeds: [010], runs: [{method: plain}]}", ["line 1", "010", "base 8"]),
        (f"{RUNS}\ntraining: {{epochs: 1:30}}", ["line 2", "1:30", "base 60"]),
        (f"{RUNS}\nsource: {{kind: dicom_dir, folder: ''}}", ["'source.folder'", "expected a path"]),
        (
            f"{RUNS}\nsource: {{kind: dicom_dir, folder: ~nobody-here/ct}}",
            ["'source.folder'", "found '~nobody-here/ct'"],
        ),
        (f'{RUNS}\nsource: {{kind: dicom_dir, folder: "a\\0b"}}', ["'source.folder'", "expected a path"]),
        (f"{RUNS}\ntraining: {{patch_size: 500}}", ["training.patch_size", "at most 416", "found 500"]),
        ("- 1", ["expected keys and values", "list"]),
        ("study: [", ["not valid YAML"]),
    ],
)
def test_a_wrong_key_is_named(text, names):
    found = message(text)
    for name in names:
        assert name in found


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no\.yaml: settings file not found"):
        load_config(tmp_path / "no.yaml")


def test_defaults_fill_what_is_left_out():
    config = parse_settings(Config, RUNS)
    assert config.split == Split()
    assert config.split.fractions["train"] == 0.6


def test_lists_expand_against_each_other_and_the_seeds():
    text = "study: {seeds: [0, 1], runs: [{method: projection, norm: [frobenius, spectral], lam_perp: [0.1, 1, 10]}]}"
    runs = parse_settings(Config, text).study.expand()
    assert len(runs) == 2 * 2 * 3
    assert len(set(runs)) == len(runs)
    assert [run.seed for run in runs[:2]] == [0, 1]


def test_what_a_merged_anchor_brings_may_be_overridden_and_switches_stay_switches():
    text = "&base {epochs: 3, steps_per_epoch: 7, channels_last: no}"
    found = parse_settings(Config, f"{RUNS}\ntraining: {{<<: {text}, epochs: 5}}").training
    assert (found.epochs, found.steps_per_epoch, found.channels_last) == (5, 7, False)


def test_strings_from_paths_become_numbers():
    from ctmar.config import Run

    wildcards = {"network": "n", "method": "projection", "norm": "mixed:2,1", "lam_perp": "1e-05", "seed": "2"}
    run = validate_section(Run, wildcards, "run")
    assert (run.lam_perp, run.lam_equi, run.seed) == (1e-5, 0.0, 2)


SECRET = "home/of/somebody"


def test_what_is_published_tells_no_path():
    config = Config.model_validate(
        {
            "extensions": [f"{SECRET}/code.py"],
            "source": {"kind": "idc", "folder": f"/{SECRET}", "manifest": f"{SECRET}/m.csv"},
            "ingest": {"salt_file": f"{SECRET}/salt"},
            "simulation": {"masks": "folder", "mask_folder": f"{SECRET}/masks"},
            "study": {"networks": {"a": {"weights": f"{SECRET}/w.pt"}}, "runs": [{"method": "plain"}]},
        }
    )
    values = config.published()
    assert SECRET in config.model_dump_json()
    assert SECRET not in json.dumps(values)
    assert values["study"]["networks"]["a"]["weights"] == PRIVATE_PATH
    # what was published is still a configuration, of the same numbers
    again = Config.model_validate(json.loads(json.dumps(values)))
    assert again.published() == values


def test_every_path_of_the_schema_is_one_of_these():
    """A path that somebody adds to the configuration is published as a path only if it is declared as one."""
    text = json.dumps(Config.model_json_schema())
    assert text.count('"format": "path"') == 6


BAD_NAMES = [
    "a b",
    "a;touch X",
    "../../../escape",
    "a/b",
    "",
    ".",
    "..",
    "a..b",
    "-rf",
    "$(x)",
    "`x`",
    "a\nb",
    "ä",
    "{x}",
]


@pytest.mark.parametrize("name", [*BAD_NAMES, "a'b", 'a"b', "x" * 65])
def test_a_network_whose_name_is_no_folder(name):
    study = {"networks": {name: {}}, "runs": [{"method": "plain"}]}
    with pytest.raises(InputError, match="expected a name of letters, digits") as error:
        validate_section(Config, {"study": study}, "x.yaml")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="expected a name of letters, digits"):
        validate_section(Run, {"network": name, "method": "plain"}, "run")


def test_what_is_only_shown_are_sections_and_without_them_two_configurations_are_one():
    def shaping(**sections: object) -> dict[str, object]:
        study = {"name": "one", "runs": [{"method": "plain"}]}
        config = Config.model_validate({"study": study, **sections})
        return config.model_dump(mode="json", exclude=set(SHOWN_ONLY))

    assert set(SHOWN_ONLY) < set(Config.model_fields)
    assert shaping(report={"title": "Another"}, tracking={"experiment": "another"}) == shaping()
    assert shaping(training={"epochs": 3}) != shaping()
