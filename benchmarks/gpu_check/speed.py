"""Our training step beside the one that anyone would write first, and what each option adds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from benchmarks.gpu_check.measure import Work, take_turns, warm_up
from benchmarks.gpu_check.rows import Recorder, Target
from benchmarks.gpu_check.settings import GROUP, acdnet, real_batch, representative, training
from benchmarks.gpu_check.worker import Settings

from ctmar.config import Training
from ctmar.models import build_network
from ctmar.models.device import convolutions_in
from ctmar.training.losses import stage_loss
from ctmar.training.patches import Batch
from ctmar.training.state import start
from ctmar.training.step import training_step

FASTER = Target("≥", 1.5, "1.5 ×")
FIRST = "straightforward: float32 as torch sets it, eager, NCHW, torch.optim.Adam"


class Straightforward:
    """A step as a first script has it: forward, loss, backward, Adam, and the loss read."""

    def __init__(self, settings: Settings, chosen: Training, fused: bool, capturable: bool = False) -> None:
        network = acdnet(settings.quick)
        device = torch.device(settings.device)
        self.network = build_network(network.architecture, **{"group_order": 4, **network.settings}).to(device)
        options = {"fused": fused} | ({"capturable": True} if capturable else {})
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=1e-4, betas=chosen.betas, **options)
        self.batch: Batch = real_batch(settings.bundle, chosen).to(device, channels_last=False)
        self.training = chosen

    def loss(self) -> torch.Tensor:
        """Of the batch, gradients included."""
        self.optimiser.zero_grad()
        outputs = self.network.stage_outputs(self.batch.inputs)
        loss = stage_loss(outputs.images, outputs.artefacts, self.batch, self.training)
        loss.backward()
        return loss

    def step(self) -> float:
        """One step."""
        # training asks cuDNN for deterministic kernels and plain float32; a first script does neither
        with as_torch_starts():
            loss = self.loss()
            self.optimiser.step()
            return loss.item()


@contextmanager
def as_torch_starts() -> Iterator[None]:
    """Settings of cuDNN as torch starts: TF32 in convolutions, kernels that need not be deterministic."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic
    cudnn.deterministic = False
    try:
        with convolutions_in("tf32"):
            yield
    finally:
        cudnn.deterministic = before


def measure_speed(settings: Settings, record: Recorder) -> None:
    """All eager steps in turns, then CUDA graphs and compilation, which take their time to start, one by one."""
    device, chosen = torch.device(settings.device), training(settings.device, settings.quick)
    steps: dict[str, Work] = {FIRST: Straightforward(settings, chosen, fused=False).step}
    steps["straightforward, Adam fused"] = Straightforward(settings, chosen, fused=True).step
    for name, work in our_steps(settings, chosen).items():
        steps |= {name: step} if (step := record.attempt(name, work)) is not None else {}
    most = 3 if settings.quick else 40
    times = take_turns(steps, device, settings.by(0.25), most=most)
    tell(times, chosen.batch_size, record)
    late: dict[str, Callable[[], Work]] = {
        "straightforward, Adam fused, CUDA graph": partial(graphed, settings, chosen)
    }
    late["ours: bfloat16, channels last, compiled"] = partial(ours, settings, chosen, "bfloat16", True, True)
    for name, work in late.items():
        if device.type != "cuda":
            record.missing(name, "not measured: on a GPU only")
            continue

        def compare(name: str = name, work: Callable[[], Work] = work) -> None:
            step = work()
            warm_up(step, device)
            both = take_turns({FIRST: steps[FIRST], name: step}, device, settings.by(0.3), most=most)
            tell(both, chosen.batch_size, record, without_first=True)

        record.attempt(name, compare)


def our_steps(settings: Settings, chosen: Training) -> dict[str, Callable[[], Work]]:
    """The plain step of training with its options, one more at a time; Adam is always fused."""
    return {
        f"ours: {precision}{', channels last' * channels_last}": partial(
            ours, settings, chosen, precision, channels_last, False
        )
        for precision, channels_last in (
            ("float32", False),
            ("float32", True),
            ("tf32", True),
            ("bfloat16", False),
            ("bfloat16", True),
        )
    }


def ours(settings: Settings, chosen: Training, precision: str, channels_last: bool, compiled: bool) -> Work:
    """The step of `ctmar.training` with these options."""
    changed = chosen.model_copy(update={"precision": precision, "channels_last": channels_last, "compile": compiled})
    state = start(representative("plain"), acdnet(settings.quick), changed, GROUP)
    batch = real_batch(settings.bundle, changed).to(state.device, channels_last)
    return partial(training_step, state, batch, 0)


def graphed(settings: Settings, chosen: Training) -> Work:
    """The straightforward step captured whole: what is left when nothing is launched one by one."""
    plain = Straightforward(settings, chosen, fused=True, capturable=True)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with as_torch_starts(), torch.cuda.stream(side):
        for _ in range(3):
            plain.loss()
            plain.optimiser.step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with as_torch_starts(), torch.cuda.graph(graph):
        loss = plain.loss()
        plain.optimiser.step()

    def replay() -> float:
        graph.replay()
        return loss.item()

    return replay


def tell(times: dict[str, list[float]], batch_size: int, record: Recorder, without_first: bool = False) -> None:
    """Images per second, and how many times those of the straightforward step in the same round."""
    first = times[FIRST]
    for name, values in times.items():
        if name == FIRST and without_first:
            continue
        record(name, [1e3 * batch_size / value for value in values], "images/s")
        if name != FIRST:
            ratios = [base / own for own, base in zip(values, first, strict=True)]
            record(f"times straightforward: {name}", ratios, "×", FASTER if "ours: bfloat16, ch" in name else None)
