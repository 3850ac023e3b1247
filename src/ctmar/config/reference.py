"""The tables of ``config/README.md``, written from the models so that they never lag behind."""

import json
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ctmar.config.data import Asymmetry, Signals
from ctmar.config.judgement import PrimaryComparison
from ctmar.config.optimisation import Network
from ctmar.config.schema import Config
from ctmar.config.section import Section
from ctmar.config.site import Site
from ctmar.config.study import RunGroup


def markdown_reference() -> str:
    """One table of key, default and meaning for each section, in the order of the file."""
    sections: dict[str, Any] = {
        name: field.annotation for name, field in Config.model_fields.items() if _is_section(field)
    }
    files = Config.model_fields["extensions"]
    tables = [f"`extensions` (a list, `[]` by default): {files.description}\n"]
    tables += [_table(f"`{name}`", model) for name, model in sections.items()]
    tables.append(_table("`simulation.asymmetry`", Asymmetry))
    tables.append(_table("`simulation.signals`", Signals))
    tables.append(_table("an entry of `study.networks`", Network))
    tables.append(_table("an entry of `study.runs`", RunGroup))
    tables.append(_table("an entry of `judgement.primary`", PrimaryComparison))
    tables.append(_table("`workflow/profiles/site.yaml`, a file of its own", Site))
    return "\n".join(tables)


def reference_rows(model: type[Section]) -> list[tuple[str, str, str]]:
    """Key, default and meaning of every key of a section; keys without a description are left to their name."""
    return [(key, _default(field), field.description or "") for key, field in model.model_fields.items()]


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, Section)


def _table(title: str, model: type[Section]) -> str:
    rows = [f"| `{key}` | {default} | {meaning} |" for key, default, meaning in reference_rows(model)]
    return "\n".join(
        [
            f"### {title}",
            "",
            str(model.__doc__),
            "",
            "| key | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "needed"
    if isinstance(value, Section) or (isinstance(value, dict) and any(isinstance(v, Section) for v in value.values())):
        return "see below"
    return f"`{json.dumps(value)}`"
