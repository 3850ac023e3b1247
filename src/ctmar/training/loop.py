"""Training of one run: the loop."""

import hashlib
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ctmar.config import RunSettings
from ctmar.errors import InterruptedWorkError
from ctmar.models.device import system_facts
from ctmar.store.run_folder import RunFolder
from ctmar.store.run_lock import check_held, hold_lock
from ctmar.store.run_records import Divergence, Epoch, RunOrigin
from ctmar.training.batch_readers import ReaderDiedError, read_batches
from ctmar.training.checkpoint import load_checkpoint, resume, save_checkpoint, snapshot
from ctmar.training.description import describe_run
from ctmar.training.diagnosis import DivergedError, broken_weights, diverged_after_step, diverged_at_step
from ctmar.training.holdout import hold_out
from ctmar.training.layer_record import record_kept_layers, record_layers
from ctmar.training.outcome import write_divergence, write_results
from ctmar.training.patches import CACHE_BYTES, Batch, PatchSampler, validation_batches
from ctmar.training.portion import portion
from ctmar.training.schedule import learning_rate, set_learning_rate
from ctmar.training.state import EpochSoFar, TrainingState, detached, kept_weights, start
from ctmar.training.step import NotFiniteError, training_step
from ctmar.training.validation import Scores, validate

SECONDS_BETWEEN_CHECKPOINTS = 60.0  # within an epoch; one more follows each epoch
_SECONDS_FOR_A_SIGNAL = 1.0  # a scheduler signals one process after the other
Progress = Callable[[int, int, str], None]


class InterruptedTrainingError(InterruptedWorkError):
    """Training stopped because it was asked to; its checkpoint is written and the same call goes on from there."""


def train(
    pairs_train: Path,
    pairs_validation: Path | None,
    settings: RunSettings,
    folder: RunFolder,
    *,
    progress: Progress = lambda done, total, text: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Divergence | None:
    """Train one run and write its weights, its metrics and its layers (one JSON object per epoch) and its description.

    The metrics are written after each epoch, so that who reads the folder can follow the run.

    A run that was killed goes on from its checkpoint and, on a CPU, ends with bit-identical weights; one that is
    finished, with the same settings, data and code, is left as it is. A training that diverges is finished: the same
    step would diverge again. While another process trains the run, this one waits. The last checkpoint stays: if the
    files are lost before somebody has accepted them (a workflow engine deletes the outputs of a job that died after its
    work), the same call writes them again without a step.

    Args:
        pairs_train: pair file to train on.
        pairs_validation: pair file to validate on after each epoch; None holds patients of ``pairs_train`` out.
        settings: run, network, optimisation, group and power of the penalty.
        folder: where results go, and the checkpoint.
        progress: called with the steps done, the steps in all, and a line of text.
        interrupted: asked after each step whether to save and stop.

    Returns:
        Where the training diverged, if it did.

    Raises:
        InputError: a setting does not fit the data, the network or the machine, or the pairs are not finite.
        InterruptedTrainingError: ``interrupted`` said so.
        InterruptedWorkError: it said so while another process trained the run.
    """
    torch.set_num_threads(settings.training.threads)
    with hold_lock(folder.lock, interrupted):
        folder.prepare()
        origin = describe_run(pairs_train, pairs_validation, settings)
        if folder.is_finished(origin):
            return folder.read_description().diverged
        folder.diagnosis.unlink(missing_ok=True)
        state = start(settings.run, settings.network, settings.training, settings.group)
        sampler, validation = open_data(pairs_train, pairs_validation, settings)
        identity = hashlib.sha256(json.dumps(origin.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
        checkpoint = load_checkpoint(folder.checkpoint, identity)
        resume(state, checkpoint)
        if checkpoint is None or not folder.has_begun(origin):
            folder.begin(origin, time.time())
        return _run_and_write(Loop(state, sampler, validation, folder, identity, progress, interrupted), origin)


def _run_and_write(loop: "Loop", origin: RunOrigin) -> Divergence | None:
    """Run the steps that are left and write what comes of them: a network, or where the training diverged."""
    folder, state = loop.folder, loop.state
    try:
        kept = loop.run_to_the_end()
    except InterruptedTrainingError:
        loop.save()
        raise
    except DivergedError as error:
        check_held(folder.lock)
        write_divergence(folder, state, error, origin)
        return error.divergence
    check_held(folder.lock)
    write_results(folder, state, kept, origin)
    return None


def open_data(
    pairs_train: Path, pairs_validation: Path | None, settings: RunSettings
) -> tuple[PatchSampler, list[Batch]]:
    """What is trained on and what is validated on; without a file for validation, pairs of one file are held out."""
    patients, run, training = settings.patients or {}, settings.run, settings.training
    own = portion(pairs_train, patients.get("train"), run.slices)
    if pairs_validation is None:
        held_out = hold_out(pairs_train)
        own, validating = [pair for pair in own if pair in held_out.training], held_out.validation
    else:
        validating = portion(pairs_validation, patients.get("validation"))
    cache_bytes = CACHE_BYTES // max(1, training.reader_processes)
    sampler = PatchSampler(pairs_train, training.batch_size, training.patch_size, run.seed, own, cache_bytes)
    return sampler, validation_batches(pairs_validation or pairs_train, training.validation_pairs, validating)


@dataclass
class Loop:
    """The steps and epochs that are left of a run; see `train` for its parts."""

    state: TrainingState
    sampler: PatchSampler
    validation: list[Batch]
    folder: RunFolder
    identity: str
    progress: Progress
    interrupted: Callable[[], bool]

    def run_to_the_end(self) -> int:
        """Run the epochs that are left and leave in the network what is kept; returns the epoch that it is of.

        Raises:
            DivergedError: a loss, a gradient or the weights in the end are not finite.
            InterruptedTrainingError: the run was asked to stop.
        """
        state = self.state
        if not state.layers:
            record_layers(state)
        self.run()
        is_validated = not (state.best or state.average or state.method.finishes)
        kept = finish(state)
        if not is_validated:  # the record of the epoch that is kept describes the weights that are written
            scores = self.validate(state.predictor)
            state.records[kept - 1] = state.records[kept - 1].model_copy(update=scores.fields)
        if broken_weights(state) is not None:  # a layer may hide what it is fed with
            raise diverged_after_step(state, None, state.records[kept - 1].validation_loss)
        record_kept_layers(state, kept)
        return kept

    def run(self) -> None:
        """Run the epochs that are left, each closed by a validation and a checkpoint."""
        state, training = self.state, self.state.training
        n_steps = training.epochs * training.steps_per_epoch
        with read_batches(self.sampler, range(state.step, n_steps), training.reader_processes) as batches:
            while len(state.records) < training.epochs and not _is_over(state):
                self.run_epoch(batches)
                with kept_weights(state) as predictor:
                    scores = self.validate(predictor, self.stop_if_asked)
                    state.records.append(
                        Epoch(**_running_means(state) | scores.fields | {"system": system_facts(state.device)})
                    )
                    record_layers(state)
                    _keep_best(state)
                state.epoch = EpochSoFar()
                self.save()
                self.folder.write_epochs(state.records)
                self.report()

    def run_epoch(self, batches: Iterator[Batch]) -> None:
        """Take the steps that are left of an epoch."""
        state, training = self.state, self.state.training
        state.network.train()
        saved = time.monotonic()
        while state.step < (len(state.records) + 1) * training.steps_per_epoch:
            self.report()
            begin = time.perf_counter()
            batch = self.next_batch(batches).to(state.device, training.channels_last)
            loss, penalty = self.take_step(batch)
            state.epoch.add(loss, penalty, time.perf_counter() - begin)
            state.step += 1
            self.stop_if_asked()
            if time.monotonic() - saved >= SECONDS_BETWEEN_CHECKPOINTS:
                self.save()
                saved = time.monotonic()

    def validate(self, predictor: nn.Module, between: Callable[[], object] = lambda: None) -> Scores:
        """Scores of the validation; images that are not finite end the run."""
        scores = validate(predictor, self.validation, self.state.training.channels_last, between)
        if scores.broken is not None:
            raise diverged_after_step(self.state, scores.broken, scores.loss)
        return scores

    def take_step(self, batch: Batch) -> tuple[float, float]:
        """One step; one that is not finite ends the run."""
        state = self.state
        set_learning_rate(state.optimiser, learning_rate(state.training, state.step))
        try:
            return training_step(state, batch, state.step)
        except NotFiniteError as error:
            origins = self.sampler.origins(state.step)
            raise diverged_at_step(state, batch, origins, error.loss, self.folder.diagnosis) from None

    def next_batch(self, batches: Iterator[Batch]) -> Batch:
        """The next batch; readers that a scheduler's signal has reached before us are no error."""
        try:
            return next(batches)
        except ReaderDiedError:
            deadline = time.monotonic() + _SECONDS_FOR_A_SIGNAL
            while time.monotonic() < deadline:
                self.stop_if_asked()
                time.sleep(0.05)
            raise

    def stop_if_asked(self) -> None:
        """End the run if it was asked to stop."""
        if self.interrupted():
            raise InterruptedTrainingError(f"after step {self.state.step}")

    def save(self) -> None:
        """Write the checkpoint."""
        check_held(self.folder.lock)
        save_checkpoint(self.folder.checkpoint, snapshot(self.state, self.identity))

    def report(self) -> None:
        """Tell the progress bar."""
        training = self.state.training
        self.progress(self.state.step, training.epochs * training.steps_per_epoch, _progress_text(self.state))


def _progress_text(state: TrainingState) -> str:
    """Loss, penalty and speed of the running epoch (or of the last one), and the last validation."""
    if not state.epoch.losses and not state.records:
        return ""
    record = _running_means(state) if state.epoch.losses else dict(state.records[-1])
    text = f"loss {record['loss']:.3g}, penalty {record['penalty']:.3g}, {record['images_per_second']:.0f} images/s"
    return f"{text}, PSNR {state.records[-1].validation_psnr:.2f} dB" if state.records else text


def _running_means(state: TrainingState) -> dict[str, Any]:
    """Means and times of the running epoch, over the steps that it has had."""
    so_far, n_steps = state.epoch, len(state.epoch.losses)
    loss, penalty, seconds = (sum(values) for values in (so_far.losses, so_far.penalties, so_far.seconds))
    return {
        "epoch": len(state.records) + 1,
        "step": state.step,
        "loss": loss / n_steps,
        "task_loss": (loss - penalty) / n_steps,
        "penalty": penalty / n_steps,
        "learning_rate": state.optimiser.param_groups[0]["lr"],
        "seconds": seconds,
        "seconds_per_step": statistics.median(so_far.seconds),
        "images_per_second": state.training.batch_size * n_steps / seconds,
    }


def _keep_best(state: TrainingState) -> None:
    """With early stopping, remember the weights of the last epoch if no epoch before had a higher validation PSNR."""
    psnr = state.records[-1].validation_psnr
    if state.training.early_stopping_epochs and (state.best is None or psnr > state.best["psnr"]):
        state.best = {"epoch": len(state.records), "psnr": psnr, "weights": detached(state.network)}


def _is_over(state: TrainingState) -> bool:
    """Whether early stopping ends the run: so many epochs in a row were not better than the best."""
    patience = state.training.early_stopping_epochs
    return patience is not None and state.best is not None and len(state.records) - state.best["epoch"] >= patience


def finish(state: TrainingState) -> int:
    """Put the weights that are kept into the network, let the method finish; returns the epoch they are of."""
    kept = state.best["weights"] if state.best else state.average
    if kept is not None:
        state.network.load_state_dict(kept)
    state.method.finish()
    return state.best["epoch"] if state.best else len(state.records)
