"""How often the group of data with a known symmetry is named: ``python -m benchmarks.group_discovery``.

For each true group and seed a random teacher (kernels of 7 × 7, one hidden layer) is projected onto the group, and
labels white-noise images, with noise of 0.3 of the signal. Four ways to find the group among C_2, D_1, D_2, C_4 and
D_4: the score of the gradient at strict networks that were fitted to half of the images, tested on the other half, and
at strict networks that were only drawn; the distance of a trained linear layer, whose teacher is linear; and that of a
plain network. Prints how often exactly the true group is named, and what else was.
"""

import argparse
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn

from equiproj import project_
from equiproj.adaptive import GroupRanking, rank_groups_by_distance, rank_groups_by_score
from equiproj.groups import Group, parse_group
from equiproj.layers import assign, typed_parameters

CANDIDATES = ("C2", "D1", "D2", "C4", "D4")
TRUTHS = ("none", *CANDIDATES)
SIZE, WIDTH, NOISE = 7, 16, 0.3


def network(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, width, SIZE), nn.ReLU(), nn.Conv2d(width, 1, 1))


def linear() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 1, SIZE))


def data(truth: str, made: Callable[[], nn.Module], n_images: int, noise: float = NOISE) -> tuple[Tensor, Tensor]:
    """White-noise images and labels of unit variance, noise added."""
    teacher = made()
    if truth != "none":
        project_(teacher, truth)
    images = torch.randn(n_images, 1, SIZE, SIZE)
    with torch.no_grad():
        labels = teacher(images)
    return images, (labels - labels.mean()) / labels.std() + noise * torch.randn_like(labels)


def train(module: nn.Module, images: Tensor, labels: Tensor, group: Group | None, n_steps: int = 150) -> None:
    """Adam on the whole batch; with a group, projected after each step."""
    typed = typed_parameters(module, group, include_bias=True) if group is not None else []
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(n_steps):
        optimiser.zero_grad()
        nn.functional.mse_loss(module(images), labels).backward()
        optimiser.step()
        with torch.no_grad():
            for entry in typed:
                assign(entry, entry.projector(entry.read()))


def by_score(truth: str, n_images: int, fitted: bool) -> GroupRanking:
    images, labels = data(truth, lambda: network(8), n_images)
    half = n_images // 2
    fit = lambda module, group: train(module, images[:half], labels[:half], group)  # noqa: E731
    batches = [(images[half:], labels[half:])] if fitted else [(images, labels)]
    return rank_groups_by_score(
        network(WIDTH), CANDIDATES, loss=nn.functional.mse_loss, batches=batches, fit=fit if fitted else None
    )


def by_distance(truth: str, n_images: int, is_linear: bool) -> GroupRanking:
    made = linear if is_linear else lambda: network(WIDTH)
    images, labels = data(truth, linear if is_linear else lambda: network(8), n_images)
    student = made()
    train(student, images, labels, None, n_steps=400)
    return rank_groups_by_distance(student, CANDIDATES)


WAYS: dict[str, Callable[[str, int], GroupRanking]] = {
    "score, fitted": lambda truth, n: by_score(truth, n, fitted=True),
    "score, not fitted": lambda truth, n: by_score(truth, n, fitted=False),
    "distance, linear": lambda truth, n: by_distance(truth, n, is_linear=True),
    "distance, plain network": lambda truth, n: by_distance(truth, n, is_linear=False),
}


def named(ranking: GroupRanking) -> str:
    return " and ".join(sorted(map(NAMES.__getitem__, ranking.largest))) or "none"


NAMES = {parse_group(name): name for name in CANDIDATES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    arguments = parser.parse_args()
    for way in arguments.ways:
        right = 0
        for truth in TRUTHS:
            answers: Counter[str] = Counter()
            for seed in range(arguments.seeds):
                torch.manual_seed(seed)
                answers[named(WAYS[way](truth, arguments.images))] += 1
            right += answers[truth]
            others = ", ".join(f"{name} {n}" for name, n in answers.most_common() if name != truth)
            print(f"{way:24} {truth:5} right {answers[truth]:3} of {arguments.seeds}  {others}", flush=True)
        print(f"{way:24} all   right {right:3} of {arguments.seeds * len(TRUTHS)}", flush=True)


if __name__ == "__main__":
    main()
