"""Reads a model folder of rvos back into the published names, so that training can go on from the model that ships.

    python -m rvos_training.model_folder models/compact --out EXPORT      what `train compact --init EXPORT/checkpoint.pth.tar` takes

`weights.bin` is described in `src/model/weight-layout.ts`: tensors in a fixed order, each at a multiple of 64 bytes; matrices
transposed, fused projections cut into query, key and value.
"""
import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch

from .config import Config
from .export import export
from .mttr import MTTR

ALIGNMENT = 64


def _linear(name):
    return [(f"{name}.weight", "matrix"), (f"{name}.bias", "plain")]


def _plain(*names):
    return [(f"{name}.{part}", "plain") for name in names for part in ("weight", "bias")]


def _fused(weight, bias):
    return [(key, kind, i) for i in range(3) for key, kind in ((weight, "matrix"), (bias, "plain"))]


def _attention(name):
    return _fused(f"{name}.in_proj_weight", f"{name}.in_proj_bias") + _linear(f"{name}.out_proj")


def layout(config):
    """(name, "plain" or "matrix"[, third of the rows]) in the order of `weights.bin`"""
    order = _linear("backbone.patch_embed.proj") + _plain("backbone.patch_embed.norm")
    for stage, depth in enumerate(config.swin.depths[:3]):
        for block in (f"backbone.layers.{stage}.blocks.{j}" for j in range(depth)):
            order += [*_plain(f"{block}.norm1"), (f"{block}.attn.relative_position_bias_table", "plain"),
                      *_fused(f"{block}.attn.qkv.weight", f"{block}.attn.qkv.bias"), *_linear(f"{block}.attn.proj"),
                      *_plain(f"{block}.norm2"), *_linear(f"{block}.mlp.fc1"), *_linear(f"{block}.mlp.fc2")]
        if stage < 2:
            order += [*_plain(f"backbone.downsamples.{stage}.norm"),
                      (f"backbone.downsamples.{stage}.reduction.weight", "matrix")]
    text = "transformer.text_encoder"
    order += [(f"{text}.embeddings.{part}_embeddings.weight", "plain") for part in ("word", "position", "token_type")]
    order += _plain(f"{text}.embeddings.LayerNorm")
    for layer in (f"{text}.encoder.layer.{i}" for i in range(config.roberta.num_hidden_layers)):
        for part in ("query", "key", "value"):
            order += _linear(f"{layer}.attention.self.{part}")
        order += [*_linear(f"{layer}.attention.output.dense"), *_plain(f"{layer}.attention.output.LayerNorm"),
                  *_linear(f"{layer}.intermediate.dense"), *_linear(f"{layer}.output.dense"),
                  *_plain(f"{layer}.output.LayerNorm")]
    order += _linear("transformer.txt_proj.fc") + _plain("transformer.txt_proj.layer_norm", "vid_embed_proj")
    for layer in (f"transformer.encoder.layers.{i}" for i in range(config.mttr.num_encoder_layers)):
        order += [*_attention(f"{layer}.self_attn"), *_plain(f"{layer}.norm1"), *_linear(f"{layer}.linear1"),
                  *_linear(f"{layer}.linear2"), *_plain(f"{layer}.norm2")]
    order.append(("obj_queries.weight", "plain"))
    for layer in (f"transformer.decoder.layers.{i}" for i in range(config.mttr.num_decoder_layers)):
        order += [*_attention(f"{layer}.self_attn"), *_plain(f"{layer}.norm1"), *_attention(f"{layer}.multihead_attn"),
                  *_plain(f"{layer}.norm2"), *_linear(f"{layer}.linear1"), *_linear(f"{layer}.linear2"),
                  *_plain(f"{layer}.norm3")]
    order += _plain("transformer.decoder.norm")
    for i in range(1, 5):
        order += _plain(f"spatial_decoder.lay{i}", f"spatial_decoder.gn{i}")
    order += _plain(*(f"spatial_decoder.{name}" for name in ("adapter1", "adapter2", "out_lay")))
    for name in ("instance_kernels_head.layers.0", "instance_kernels_head.layers.1", "is_referred_head"):
        order += _linear(name)
    return order


def read(folder):
    """-> Config, state dict in float32, model.json. Raises ValueError if `weights.bin` has another size than it should."""
    folder = Path(folder)
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    config = Config.from_dict(about["architecture"])
    state = MTTR(config).state_dict()
    kind = np.dtype("<f2" if about["precision"] == "fp16" else "<f4")
    data, offset = (folder / "weights.bin").read_bytes(), 0
    for name, form, *third in layout(config):
        target = state[name].chunk(3)[third[0]] if third else state[name]
        offset = -(-offset // ALIGNMENT) * ALIGNMENT
        values = np.frombuffer(data, kind, target.numel(), offset).astype(np.float32)
        offset += target.numel() * kind.itemsize
        if form == "matrix":
            values = values.reshape(-1, len(target)).T.reshape(target.shape)
        target.copy_(torch.from_numpy(values.reshape(target.shape).copy()))
    if offset != len(data):
        raise ValueError(f"{folder / 'weights.bin'}: {len(data)} bytes, the architecture makes {offset}")
    return config, state, about


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    config, state, about = read(arguments.folder)
    tokenizer = Path(arguments.out) / "tokenizer"
    tokenizer.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(arguments.folder) / about["tokenizer"]["file"], tokenizer / "tokenizer.json")
    export(arguments.out, state, config, tokenizer)


if __name__ == "__main__":
    main()
