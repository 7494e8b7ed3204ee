"""The architecture of a network, in the same form as the `config.json` that `rvos import --architecture` reads."""
import json
from dataclasses import asdict, dataclass, field
from typing import List


@dataclass
class SwinConfig:
    embed_dim: int = 96
    depths: List[int] = field(default_factory=lambda: [2, 2, 6, 2])  # only the first three stages are built
    num_heads: List[int] = field(default_factory=lambda: [3, 6, 12, 24])
    window_size: List[int] = field(default_factory=lambda: [8, 7, 7])
    patch_size: List[int] = field(default_factory=lambda: [1, 4, 4])


@dataclass
class RobertaConfig:
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 514
    vocab_size: int = 50265
    type_vocab_size: int = 1
    layer_norm_eps: float = 1e-5
    pad_token_id: int = 1
    bos_token_id: int = 0
    eos_token_id: int = 2
    hidden_act: str = "gelu"


@dataclass
class MttrConfig:
    num_queries: int = 50
    mask_kernels_dim: int = 8
    d_model: int = 256
    nheads: int = 8
    num_encoder_layers: int = 3
    num_decoder_layers: int = 3
    dim_feedforward: int = 2048


@dataclass
class Config:
    swin: SwinConfig = field(default_factory=SwinConfig)
    roberta: RobertaConfig = field(default_factory=RobertaConfig)
    mttr: MttrConfig = field(default_factory=MttrConfig)

    @staticmethod
    def from_dict(d: dict) -> "Config":
        return Config(SwinConfig(**d["swin"]), RobertaConfig(**d["roberta"]), MttrConfig(**d["mttr"]))

    @staticmethod
    def load(path) -> "Config":
        with open(path, encoding="utf-8") as f:
            described = json.load(f)
        return Config.from_dict({part: described[part] for part in ("swin", "roberta", "mttr")})

    def to_dict(self) -> dict:
        return asdict(self)


def compact(vocab_size: int) -> Config:
    """The small network that ships with rvos (about 4 M parameters)."""
    return Config(
        SwinConfig(embed_dim=48, depths=[2, 2, 4, 2], num_heads=[3, 6, 12, 24], window_size=[8, 4, 4]),
        RobertaConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512,
                      max_position_embeddings=514, vocab_size=vocab_size),
        MttrConfig(num_queries=6, mask_kernels_dim=8, d_model=128, nheads=8, num_encoder_layers=3,
                   num_decoder_layers=2, dim_feedforward=512))
