"""Optimisers, learning rates, and the moving average of the weights."""
import copy
import math

import torch
import torch.distributed as dist

from .muon import Muon


def group_of(name):
    """The group of parameters that share a learning rate."""
    if name.startswith(("transformer.text_encoder.", "transformer.txt_proj.")):
        return "text"
    if name.endswith("relative_position_bias_table"):
        return "bias"
    return "backbone" if name.startswith("backbone.") else "others"


def is_matrix(name, parameter):
    """Whether Muon moves it: matrices between features, but not tables, patches, sentences or the small heads."""
    return parameter.dim() == 2 and name.startswith(("backbone.layers.", "backbone.downsamples.", "transformer.encoder.",
                                                     "transformer.decoder.")) and group_of(name) != "bias"


def make_optimizers(model, auxiliary, rates, weight_decay):
    """-> [Muon, AdamW], their groups with a `share` of the phase's learning rate"""
    matrices, rest = {}, {"auxiliary": [*auxiliary.parameters()]}
    for name, parameter in model.named_parameters():
        found = matrices if is_matrix(name, parameter) else rest
        found.setdefault(group_of(name), []).append(parameter)

    def groups(found):
        return [{"params": p, "share": rates[name], "weight_decay": 0.0 if name == "bias" else weight_decay}
                for name, p in found.items()]
    return [Muon(groups(matrices)), torch.optim.AdamW(groups(rest), betas=(0.9, 0.98))]


def locate(phases, step):
    """-> phase, steps into it"""
    for phase in phases:
        if step < phase.steps:
            return phase, step
        step -= phase.steps
    return phases[-1], phases[-1].steps


def learning_rate(phases, step):
    """Cosine from a phase's first rate to its last; over the phases after it that have no rates of their own, too."""
    begin = 0
    for i, phase in enumerate(phases):
        if phase.rates:
            warm_up, (start, end) = phase.warm_up, phase.rates
            follow = next((k for k in range(i + 1, len(phases)) if phases[k].rates), len(phases))
            steps = sum(p.steps for p in phases[i:follow])
            if step < begin + steps or follow == len(phases):
                break
            begin += steps
    inside = step - begin
    rate = end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, inside / (phase.fall or steps))))
    return rate * min(1.0, (inside + 1) / warm_up)


@torch.no_grad()
def add_gradients(parameters):
    """Each process's gradients become the sum of all. A parameter without one in any process stays without."""
    has = torch.tensor([float(p.grad is not None) for p in parameters])
    flat = torch.cat([has, *[torch.zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in parameters]])
    dist.all_reduce(flat)
    has, *sums = flat.split([len(parameters), *[p.numel() for p in parameters]])
    for p, some, total in zip(parameters, has.tolist(), sums):
        p.grad = total.view_as(p) if some else None


class Average:
    """Exponential moving average of the weights."""

    def __init__(self, model, decay):
        self.model, self.decay = copy.deepcopy(model).eval(), decay

    @torch.no_grad()
    def update(self, model, step):
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_mul_([p for p in self.model.parameters()], decay)
        torch._foreach_add_([p for p in self.model.parameters()], [p.detach() for p in model.parameters()],
                            alpha=1 - decay)
