"""Ways to and from the field's libraries: types and networks of escnn and e3nn, optimisers, Lightning, transformers."""

from equiproj.bridges.attachment import Attachment, attach
from equiproj.bridges.callbacks import lightning_callback, trainer_callback
from equiproj.bridges.e3nn_types import from_e3nn
from equiproj.bridges.escnn_types import from_escnn
from equiproj.bridges.exported import ExportedNetwork, export_e3nn, export_escnn

__all__ = [
    "Attachment",
    "ExportedNetwork",
    "attach",
    "export_e3nn",
    "export_escnn",
    "from_e3nn",
    "from_escnn",
    "lightning_callback",
    "trainer_callback",
]
