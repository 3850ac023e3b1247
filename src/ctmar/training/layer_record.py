"""What becomes of the norms of every layer through training, for `ctmar.store.run_folder.RunFolder.layers`."""

from operator import attrgetter

from ctmar.models.non_equivariance import layer_norms
from ctmar.store.even_choice import evenly_spaced
from ctmar.store.run_records import LayersAtEpoch
from ctmar.training.state import TrainingState

MOST_EPOCHS = 20  # of a training, beside its start: more would make a long file and the same picture


def record_layers(state: TrainingState) -> None:
    """Measure the layers where the last epoch left them, or the start; of a long training at some epochs alone."""
    epoch = len(state.records)
    if epoch in {0, *(k + 1 for k in evenly_spaced(state.training.epochs, MOST_EPOCHS))}:
        state.layers.append(_layers_at(state, epoch))


def record_kept_layers(state: TrainingState, kept_epoch: int) -> None:
    """Let the record of the epoch that is kept describe the weights that are written."""
    others = [record for record in state.layers if record.epoch != kept_epoch]
    state.layers = sorted([*others, _layers_at(state, kept_epoch)], key=attrgetter("epoch"))


def _layers_at(state: TrainingState, epoch: int) -> LayersAtEpoch:
    rows = layer_norms(state.network, state.group)
    return LayersAtEpoch(epoch=epoch, norms={row.name: (row.norm_equivariant, row.norm_perpendicular) for row in rows})
