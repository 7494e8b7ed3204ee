"""The multimodal transformer: one frame's video tokens and one sentence's text tokens in, object queries out.

Every frame is on its own here. Sequences are first: [tokens, batch, D], batch = (frame, sentence) pairs.
"""
import math
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F

from .text_encoder import TextEncoder


def sine_positions(mask, d):
    """2-D sine embedding of the pixels that are not padding. mask [M,h,w] bool, True = padding -> [M,h,w,d]"""
    present = (~mask).float()
    y, x = present.cumsum(1), present.cumsum(2)
    y = y / (y[:, -1:] + 1e-6) * (2 * math.pi)
    x = x / (x[:, :, -1:] + 1e-6) * (2 * math.pi)
    k = torch.arange(d // 2, device=mask.device)
    period = 10000 ** (2 * torch.div(k, 2, rounding_mode="floor") / (d // 2))

    def waves(coordinate):
        p = coordinate[..., None] / period
        return torch.stack((p[..., 0::2].sin(), p[..., 1::2].cos()), -1).flatten(-2)
    return torch.cat((waves(y), waves(x)), -1)


class EncoderLayer(nn.Module):
    def __init__(self, d, heads, ffn, dropout):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d, heads, dropout=dropout)
        self.linear1, self.linear2 = nn.Linear(d, ffn), nn.Linear(ffn, d)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, pos, padding):
        q = x + pos
        x = self.norm1(x + self.dropout(self.self_attn(q, q, x, key_padding_mask=padding, need_weights=False)[0]))
        return self.norm2(x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(x))))))


class DecoderLayer(nn.Module):
    def __init__(self, d, heads, ffn, dropout):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d, heads, dropout=dropout)
        self.multihead_attn = nn.MultiheadAttention(d, heads, dropout=dropout)
        self.linear1, self.linear2 = nn.Linear(d, ffn), nn.Linear(ffn, d)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.dropout = nn.Dropout(dropout)

    def forward(self, t, query_pos, memory, keys, padding):
        q = t + query_pos
        t = self.norm1(t + self.dropout(self.self_attn(q, q, t, need_weights=False)[0]))
        attended = self.multihead_attn(t + query_pos, keys, memory, key_padding_mask=padding, need_weights=False)[0]
        t = self.norm2(t + self.dropout(attended))
        return self.norm3(t + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(t))))))


class FeatureResizer(nn.Module):
    def __init__(self, c, d, dropout):
        super().__init__()
        self.fc = nn.Linear(c, d)
        self.layer_norm = nn.LayerNorm(d, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.layer_norm(self.fc(x)))


class Encoder(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)


class Decoder(nn.Module):
    def __init__(self, layers, d):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(d)


class Encoded(NamedTuple):
    """The encoder's memory of a frame and a sentence."""
    tokens: torch.Tensor  # [h·w+S,M,D], video before text
    keys: torch.Tensor  # the same with positions added
    padding: torch.Tensor  # [M,h·w+S], True = padding
    video: torch.Tensor  # [M,D,h,w], the video tokens as a map


class MultimodalTransformer(nn.Module):
    def __init__(self, config, dropout=0.0):
        super().__init__()
        m = config.mttr
        arguments = (m.d_model, m.nheads, m.dim_feedforward, dropout)
        self.encoder = Encoder(EncoderLayer(*arguments) for _ in range(m.num_encoder_layers))
        self.decoder = Decoder([DecoderLayer(*arguments) for _ in range(m.num_decoder_layers)], m.d_model)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)
        self.text_encoder = TextEncoder(config.roberta, dropout)
        self.txt_proj = FeatureResizer(config.roberta.hidden_size, m.d_model, dropout)

    def encode_text(self, ids, mask):
        """ids, mask [P,S] -> [S,P,D]"""
        return self.txt_proj(self.text_encoder(ids, mask)).transpose(0, 1)

    def encode(self, video, video_mask, text, text_mask):
        """video [M,D,h,w], video_mask [M,h,w] (True = padding), text [S,M,D], text_mask [M,S] (True = padding)"""
        count, d, h, w = video.shape
        x = torch.cat((video.flatten(2).permute(2, 0, 1), text))
        pos = sine_positions(video_mask, d).flatten(1, 2).transpose(0, 1)
        pos = torch.cat((pos, torch.zeros_like(text)))
        padding = torch.cat((video_mask.flatten(1), text_mask), 1)
        for layer in self.encoder.layers:
            x = layer(x, pos, padding)
        return Encoded(x, x + pos, padding, x[:h * w].permute(1, 2, 0).reshape(count, d, h, w))

    def decode(self, encoded, queries):
        """queries [N,D] -> hs [layers,N,M,D]"""
        query_pos = queries[:, None].expand(-1, encoded.tokens.shape[1], -1)
        t, hs = torch.zeros_like(query_pos), []
        for layer in self.decoder.layers:
            t = layer(t, query_pos, encoded.tokens, encoded.keys, encoded.padding)
            hs.append(self.decoder.norm(t))
        return torch.stack(hs)
