"""One network that is many: the seeds of a run side by side in one batched step.

`torch.func.stack_module_state` stacks the weights of all seeds, `vmap` turns every convolution into a grouped one, and
one fused Adam moves all weights. The numbers are those of separate trainings, to rounding.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from ctmar.config import Training
from ctmar.training.losses import masked_mean_square, stage_loss
from ctmar.training.patches import Batch


class ManySeeds:
    """Plain training of several networks of one architecture.

    Args:
        networks: one for each seed, on one device, in training mode.
        training: loss, learning rate, betas; float32 without autocast.
    """

    def __init__(self, networks: Sequence[nn.Module], training: Training) -> None:
        self.network, self.training = networks[0], training
        parameters, buffers = stack_module_state(list(networks))
        self.parameters = {name: value.detach().requires_grad_() for name, value in parameters.items()}
        self.buffers = buffers
        trained = list(self.parameters.values())
        self.optimiser = torch.optim.Adam(trained, lr=training.learning_rate, betas=training.betas, fused=True)

    def step(self, batches: Sequence[Batch]) -> list[float]:
        """One step of every network, each with a batch of its own; returns their losses."""
        tensors = [torch.stack(parts) for parts in zip(*(batch.tensors for batch in batches), strict=True)]
        return self.step_stacked(tensors)

    def step_stacked(self, tensors: Sequence[Tensor]) -> list[float]:
        """The same from tensors (n_seeds, n, c, h, w): inputs, target, outside_metal."""
        gradients, losses = vmap(grad_and_value(self._loss), randomness="different")(
            self.parameters, self.buffers, *tensors
        )
        for name, parameter in self.parameters.items():
            parameter.grad = gradients[name]
        self.optimiser.step()
        return losses.tolist()

    def _loss(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], *tensors: Tensor) -> Tensor:
        batch = Batch(*tensors)
        if self.training.loss == "masked_mse":
            output: Any = functional_call(self.network, (parameters, buffers), (batch.inputs,))
            return masked_mean_square(output, batch)
        outputs = functional_call(_Stages(self.network), (_inside(parameters), _inside(buffers)), (batch.inputs,))
        return stage_loss(outputs.images, outputs.artefacts, batch, self.training)


class _Stages(nn.Module):
    """A network whose forward pass returns all stages, because `functional_call` calls nothing else."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Any:
        return self.network.stage_outputs(images)


def _inside(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"network.{name}": value for name, value in values.items()}
