"""Muon for the matrices of a small network, AdamW for everything else.

Muon (Jordan et al., 2024) steps along the nearest orthogonal matrix of the momentum, found by Newton–Schulz iterations: every
direction of a matrix learns at the same pace. A network of this size reaches the same loss in about two thirds of AdamW's steps.
"""
import torch
import torch.distributed as dist


@torch.no_grad()
def orthogonal(matrix, iterations=5):
    """Nearly the nearest matrix [m,n] whose singular values are all one."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Groups of 2-D parameters. Rates mean what they mean to AdamW: an element's step is about 0.2 of it.

    Where several processes train together each finds its share of the orthogonal matrices: they are most of a step's work."""

    def __init__(self, groups, lr=1e-3, momentum=0.95, weight_decay=0.0):
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        pieces, directions = [], []
        for group in self.param_groups:
            rate, keep = group["lr"], group["momentum"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - keep)
                p.mul_(1 - rate * group["weight_decay"])
                # Query, key and value share one matrix: each is orthogonal on its own.
                parts = p.shape[0] // p.shape[1] if p.shape[0] == 3 * p.shape[1] else 1
                pieces += [(part, rate * 0.2 * max(part.shape) ** 0.5) for part in p.chunk(parts)]
                directions += p.grad.lerp(state["momentum"], keep).chunk(parts)
        for (part, size), step in zip(pieces, _all_orthogonal(directions)):
            part.add_(step, alpha=-size)


def _all_orthogonal(matrices):
    world = dist.get_world_size() if dist.is_initialized() else 1
    if world == 1 or not matrices:
        return [orthogonal(m) for m in matrices]
    flat = torch.zeros(sum(m.numel() for m in matrices))
    views = [v.view_as(m) for v, m in zip(flat.split([m.numel() for m in matrices]), matrices)]
    by_size = sorted(range(len(matrices)), key=lambda i: (matrices[i].numel(), i))
    for i in by_size[dist.get_rank()::world]:
        views[i].copy_(orthogonal(matrices[i]))
    dist.all_reduce(flat)
    return views
