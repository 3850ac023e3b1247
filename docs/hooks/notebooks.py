"""Notebooks as pages: their text, code and outputs as they are stored, pictures as files beside the page."""

import base64
import json
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ORIGIN = """[The notebook itself]({name}.ipynb){{ download }} is stored with its outputs. They are shown here as they
came out on the machine that ran it last, on one core; the time in the last cell is that machine's. The tests of the
repository run it again. To run it and store what comes out:

```bash
jupyter execute --inplace docs/notebooks/{name}.ipynb
```"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every notebook of docs/notebooks; the notebook itself is a file of the site."""
    for path in sorted((Path(config.docs_dir) / "notebooks").glob("*.ipynb")):
        text, pictures = as_markdown(json.loads(path.read_text(encoding="utf-8")), path.stem)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def as_markdown(notebook: dict[str, Any], name: str) -> tuple[str, dict[str, bytes]]:
    """The page of a notebook, and its pictures by name.

    Raises:
        ValueError: a cell of code has not been run, has failed, or shows neither text nor a picture.
    """
    blocks: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            blocks.append(source)
            continue
        if cell["execution_count"] is None:
            raise ValueError(f"notebooks/{name}.ipynb: expected cells that have been run, found one that has not")
        blocks.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                raise ValueError(f"notebooks/{name}.ipynb: expected cells that ran, found {output['ename']}")
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/png" in data:
                picture = f"{name}-{len(pictures) + 1}.png"
                pictures[picture] = base64.b64decode(data["image/png"])
                blocks.append(f"![The figure that this cell draws]({picture})")
            elif "text/plain" not in data:
                found = ", ".join(sorted(data))
                raise ValueError(f"notebooks/{name}.ipynb: expected text or a picture as PNG, found {found}")
            else:
                blocks.append(f"```text\n{''.join(data['text/plain']).rstrip()}\n```")
    title, _, introduction = blocks[0].partition("\n")
    return "\n\n".join([title, introduction.strip(), ORIGIN.format(name=name), *blocks[1:]]) + "\n", pictures
