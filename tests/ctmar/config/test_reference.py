"""The documents made from the schema are in step with it."""

import json
from pathlib import Path

from ctmar.config import Config, Site, load_config, load_site, markdown_reference

CONFIG = Path(__file__).resolve().parents[3] / "config"
PROFILES = CONFIG.parent / "workflow" / "profiles"


def test_readme_holds_the_generated_tables():
    assert (CONFIG / "README.md").read_text().endswith(markdown_reference()), (
        "run: ctmar schema --markdown, and put it at the end of config/README.md"
    )


def test_json_schema_is_the_generated_one():
    assert json.loads((CONFIG / "schema.json").read_text()) == Config.model_json_schema(), (
        "run: ctmar schema > config/schema.json"
    )


def test_the_schema_of_a_site_is_the_generated_one():
    assert json.loads((PROFILES / "site.schema.json").read_text()) == Site.model_json_schema(), (
        "run: ctmar schema --site > workflow/profiles/site.schema.json"
    )


def test_the_shipped_site_asks_for_nothing_and_its_examples_are_valid(tmp_path):
    text = (PROFILES / "site.yaml").read_text()
    assert load_site(PROFILES / "site.yaml") == Site()
    examples = [line.removeprefix("# ") for line in text.split("\n\n")[1].splitlines()]
    assert len(examples) > 8
    for line in examples:
        (tmp_path / "site.yaml").write_text(line)
        assert load_site(tmp_path / "site.yaml") != Site(), line


def test_every_key_is_described():
    assert all(field.description for field in Site.model_fields.values())
    assert Config.model_fields["extensions"].description
    for name, section in Config.model_fields.items():
        for key, field in getattr(section.annotation, "model_fields", {}).items():
            assert field.description, f"{name}.{key} has no description"


def test_every_study_in_the_folder_is_valid():
    studies = sorted(CONFIG.glob("*.yaml"))
    assert studies
    for study in studies:
        assert load_config(study).study.expand()
