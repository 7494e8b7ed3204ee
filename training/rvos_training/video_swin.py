"""Video Swin Transformer, three stages: frames [B,T,3,H,W] -> three feature levels with strides 4, 8, 16.

Time is mixed here and nowhere else in the network. Channels are last inside: [B,T,h,w,C].
"""
import math
from functools import lru_cache

import torch
import torch.nn as nn
import torch.nn.functional as F


def clip_window(size, window, shift):
    """Window and shift for a feature map of `size` (t,h,w): where the map is no larger than the window, the window
    shrinks to the map and is not shifted in that dimension."""
    clipped = tuple(min(s, w) for s, w in zip(size, window))
    shifts = tuple(0 if s <= w else d for s, w, d in zip(size, window, shift))
    return clipped, shifts


def relative_position_index(window):
    """[n,n] row of the bias table for each pair of positions of a full window (n = product of `window`)."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(w) for w in window], indexing="ij")).flatten(1)  # [3,n]
    t, h, w = grid[:, :, None] - grid[:, None, :]
    return ((t + window[0] - 1) * (2 * window[1] - 1) + h + window[1] - 1) * (2 * window[2] - 1) + w + window[2] - 1


def local_bias(window, heads, turn):
    """[rows,heads] first values of a bias table: each head looks in a direction of its own, some at a neighbour in the same
    frame, some at the same place a few frames before or after. From zeros, a network this small takes thousands of
    steps to see more of its surroundings and of time than their mean."""
    around = [(0, 0, 1), (0, 1, 0), (0, 0, -1), (0, -1, 0), (0, 1, 1), (0, 1, -1), (0, -1, -1), (0, -1, 1)]
    in_time = [(2, 0, 0), (-2, 0, 0), (1, 0, 0), (-1, 0, 0), (4, 0, 0), (-4, 0, 0)]
    later = max(1, heads // 3)  # heads that look in time
    t, h, w = torch.meshgrid(*[torch.arange(1 - size, size) for size in window], indexing="ij")
    table = []
    for head in range(heads):
        if head < heads - later:
            dt, dh, dw = around[(head + turn * (heads - later)) % (4 if heads <= 6 else 8)]
        else:
            dt, dh, dw = in_time[(head - (heads - later) + turn * later) % min(2 * later, len(in_time))]
        table.append(-(0.5 * (t - dt) ** 2 + 1.0 * ((h - dh) ** 2 + (w - dw) ** 2)).flatten().float())
    return torch.stack(table, 1)


def partition(x, window):
    """[B,T,H,W,C] -> [B*windows, tokens, C]; sizes are multiples of the window."""
    b, t, h, w, c = x.shape
    wt, wh, ww = window
    x = x.view(b, t // wt, wt, h // wh, wh, w // ww, ww, c)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, wt * wh * ww, c)


def unpartition(windows, window, b, t, h, w):
    """Inverse of `partition`."""
    wt, wh, ww = window
    x = windows.view(b, t // wt, h // wh, w // ww, wt, wh, ww, -1)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(b, t, h, w, -1)


@lru_cache(maxsize=64)
def shift_mask(padded, window, shift, device):
    """[windows,n,n] added to the attention logits of a shifted block: 0 within a region, -100 across regions."""
    region = torch.zeros((1,) + padded + (1,), device=device)
    for axis, (size, w, s) in enumerate(zip(padded, window, shift)):
        position = torch.arange(size, device=device)
        label = (position >= size - w).int() + (position >= size - s).int() if s else torch.zeros_like(position)
        view = [1] * 5
        view[axis + 1] = size
        region = region * 3 + label.view(view)
    region = partition(region, window).squeeze(-1)
    return (region[:, :, None] != region[:, None, :]).float() * -100.0


class WindowAttention(nn.Module):
    def __init__(self, dim, heads, window, turn=0):
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.relative_position_bias_table = nn.Parameter(local_bias(window, heads, turn))
        self.register_buffer("relative_position_index", relative_position_index(window))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x, mask):
        """x [batch*windows, n, C]; mask [windows,n,n] or None."""
        bw, n, c = x.shape
        q, k, v = self.qkv(x).view(bw, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        # The first n rows and columns of the FULL window's index, also where height or width is clipped.
        index = self.relative_position_index[:n, :n].reshape(-1)
        bias = F.embedding(index, self.relative_position_bias_table).view(n, n, self.heads).permute(2, 0, 1)
        logits = (q * self.scale) @ k.transpose(-2, -1)
        logits += bias
        if mask is not None:
            logits.view(-1, len(mask), self.heads, n, n).add_(mask[:, None])
        out = logits.softmax(-1) @ v
        return self.proj(out.transpose(1, 2).reshape(bw, n, c))


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class SwinBlock(nn.Module):
    def __init__(self, dim, heads, window, shifted, drop_path=0.0):
        super().__init__()
        self.window = tuple(window)
        self.shift = tuple(w // 2 for w in window) if shifted else (0, 0, 0)
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads, self.window, turn=int(shifted))
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim)

    def _drop(self, x):
        if not self.training or self.drop_path == 0:
            return x
        keep = (torch.rand(len(x), 1, 1, 1, 1, device=x.device) >= self.drop_path).to(x.dtype)
        return x * keep / (1 - self.drop_path)

    def _attention(self, x):
        b, t, h, w, _ = x.shape
        window, shift = clip_window((t, h, w), self.window, self.shift)
        pad = [-s % size for s, size in zip((t, h, w), window)]
        x = F.pad(self.norm1(x), (0, 0, 0, pad[2], 0, pad[1], 0, pad[0]))  # after the norm: padding is exactly zero
        padded = tuple(x.shape[1:4])
        mask = None
        if any(shift):
            x = torch.roll(x, [-s for s in shift], (1, 2, 3))
            mask = shift_mask(padded, window, shift, x.device)
        x = unpartition(self.attn(partition(x, window), mask), window, b, *padded)
        if any(shift):
            x = torch.roll(x, shift, (1, 2, 3))
        return x[:, :t, :h, :w]

    def forward(self, x):
        x = x + self._drop(self._attention(x))
        return x + self._drop(self.mlp(self.norm2(x)))


class PatchMerging(nn.Module):
    """[B,T,h,w,C] -> [B,T,ceil(h/2),ceil(w/2),2C]"""

    def __init__(self, dim):
        super().__init__()
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(4 * dim)

    def forward(self, x):
        x = F.pad(x, (0, 0, 0, x.shape[3] % 2, 0, x.shape[2] % 2))
        x = torch.cat([x[:, :, r::2, c::2] for c in (0, 1) for r in (0, 1)], -1)
        return self.reduction(self.norm(x))


def cosine_filters(n):
    """[3·n·n,3,n,n]: cosine transform of a patch times brightness and two differences of colours, low frequencies first.
    All of a patch is kept from the first step on."""
    k, x = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    wave = torch.cos(math.pi * (2 * x + 1) * k / (2 * n)) * (2 / n) ** 0.5
    wave[0] /= 2 ** 0.5
    colors = torch.tensor([[1.0, 1, 1], [1, -1, 0], [0.5, 0.5, -1]])
    colors /= colors.norm(dim=1, keepdim=True)
    filters = []
    for a, b in sorted(((a, b) for a in range(n) for b in range(n)), key=sum):
        gain = 1 / n if a + b == 0 else 0.75
        filters += [gain * c[:, None, None] * torch.outer(wave[a], wave[b]) for c in colors]
    return torch.stack(filters)


class PatchEmbed(nn.Module):
    """[B,T,3,H,W] -> [B,T,ceil(H/4),ceil(W/4),C]"""

    def __init__(self, patch, dim):
        super().__init__()
        self.patch = tuple(patch)
        self.proj = nn.Conv3d(3, dim, kernel_size=self.patch, stride=self.patch)
        if self.patch == (1, 4, 4):
            with torch.no_grad():
                filters = cosine_filters(4)[:dim]
                self.proj.weight[:len(filters), :, 0].copy_(filters)
                self.proj.bias.zero_()
        self.norm = nn.LayerNorm(dim)

    def forward(self, frames):
        _, ph, pw = self.patch
        x = F.pad(frames, (0, -frames.shape[-1] % pw, 0, -frames.shape[-2] % ph))
        b, t, c, h, w = x.shape
        # A patch is 1 frame deep, so the convolution is one matrix product over [3*ph*pw].
        x = x.view(b, t, c, h // ph, ph, w // pw, pw).permute(0, 1, 3, 5, 2, 4, 6).reshape(b, t, h // ph, w // pw, -1)
        return self.norm(F.linear(x, self.proj.weight.flatten(1), self.proj.bias))


class SwinStage(nn.Module):
    def __init__(self, dim, depth, heads, window, drop_path):
        super().__init__()
        self.blocks = nn.ModuleList(SwinBlock(dim, heads, window, j % 2 == 1, drop_path) for j in range(depth))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class VideoSwin(nn.Module):
    def __init__(self, config, drop_path=0.0):
        super().__init__()
        dims = [config.embed_dim * 2 ** i for i in range(3)]
        self.patch_embed = PatchEmbed(config.patch_size, dims[0])
        self.layers = nn.ModuleList(SwinStage(dims[i], config.depths[i], config.num_heads[i], config.window_size,
                                              drop_path) for i in range(3))
        self.downsamples = nn.ModuleList(PatchMerging(dims[i]) for i in range(2))
        self.dims = dims
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)  # the usual deviation of 0.02 is too little for so few channels
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # All blocks have the same index table: one storage keeps checkpoints small.
        shared = self.layers[0].blocks[0].attn.relative_position_index
        for module in self.modules():
            if isinstance(module, WindowAttention):
                module.relative_position_index = shared

    def forward(self, frames):
        """frames [B,T,3,H,W] -> levels [[B,T,h_i,w_i,C_i]] * 3"""
        x = self.patch_embed(frames)
        levels = []
        for i, stage in enumerate(self.layers):
            x = stage(x)
            levels.append(x)
            if i < 2:
                x = self.downsamples[i](x)
        return levels
