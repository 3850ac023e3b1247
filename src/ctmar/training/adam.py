"""torch's Adam without torch's compiler.

Methods of torch's optimisers are wrapped so that ``torch.compile`` leaves them alone, and each wrapper imports
``torch._dynamo``, a second of processor time in every process. Training compiles the forward pass at most: here the
same functions are called without their wrappers.
"""

import inspect

import torch


class Adam(torch.optim.Adam):
    """`torch.optim.Adam`, bit for bit and with the same state dictionary; not for use inside a compiled function.

    Examples:
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> optimiser = Adam([weight], lr=0.5)
        >>> weight.sum().backward()
        >>> optimiser.step()
        >>> torch.allclose(weight, torch.full((2,), 0.5))
        True
    """

    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
    # the wrapper that switches gradients off is the one that asks for the compiler
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
