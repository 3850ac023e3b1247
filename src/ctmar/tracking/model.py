"""A trained network as a model of MLflow: what goes in and out, and which file of the study holds the weights.

The weights stay where they are: a copy of every network of a study would double its disk, and what MLflow loads is a
pickle of the whole module. `ctmar predict` reads the file.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ctmar.store.provenance import sha256_of
from ctmar.tracking.run_state import RunState

if TYPE_CHECKING:
    from mlflow import MlflowClient

_INPUT_CHANNELS = 3  # corrupted image, linear interpolation, mask: `ctmar.units.network_input`


def log_model(client: "MlflowClient", experiment_id: str, run_id: str, run: RunState) -> None:
    """Add the network of a measured run, once for each file of weights."""
    import numpy as np
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature
    from mlflow.types import Schema, TensorSpec

    digest, settings = sha256_of(run.folder.weights), run.origin.run
    known = client.get_run(run_id).outputs
    if known and any(
        client.get_logged_model(model.model_id).tags["weights_sha256"] == digest for model in known.model_outputs
    ):
        return
    tags = {"weights": f"runs/{settings.folder_name}/weights.pt", "weights_sha256": digest}
    model = client.create_logged_model(experiment_id, settings.network, run_id, tags, model_type="state dictionary")
    image = (-1, 1, -1, -1)
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype(np.float32), (-1, _INPUT_CHANNELS, -1, -1), "scan, linear interpolation, mask")]),
        Schema([TensorSpec(np.dtype(np.float32), image, "image")]),
    )
    with tempfile.TemporaryDirectory() as folder:
        Model(signature=signature, run_id=run_id, model_id=model.model_id, metadata=tags).save(Path(folder) / "MLmodel")
        client.log_model_artifacts(model.model_id, folder)
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, run.epochs[-1].step if run.epochs else 0)])
