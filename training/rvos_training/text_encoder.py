"""RoBERTa's encoder, without pooler: token ids [P,S] -> hidden states [P,S,C]. Post-norm, exact GELU."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Embeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.pad = c.pad_token_id
        self.word_embeddings = nn.Embedding(c.vocab_size, c.hidden_size)
        self.position_embeddings = nn.Embedding(c.max_position_embeddings, c.hidden_size)
        self.token_type_embeddings = nn.Embedding(c.type_vocab_size, c.hidden_size)
        self.LayerNorm = nn.LayerNorm(c.hidden_size, eps=c.layer_norm_eps)
        # Part of the published checkpoints; not used in the computation.
        self.register_buffer("position_ids", torch.arange(c.max_position_embeddings)[None])

    def forward(self, ids):
        present = (ids != self.pad).long()
        positions = self.pad + present.cumsum(1) * present
        x = self.word_embeddings(ids) + self.token_type_embeddings.weight[0] + self.position_embeddings(positions)
        return self.LayerNorm(x)


class SelfAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads = c.num_attention_heads
        self.query = nn.Linear(c.hidden_size, c.hidden_size)
        self.key = nn.Linear(c.hidden_size, c.hidden_size)
        self.value = nn.Linear(c.hidden_size, c.hidden_size)

    def forward(self, x, mask):
        def split(y):
            return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        logits = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        weights = logits.masked_fill(~mask[:, None, None, :], torch.finfo(logits.dtype).min).softmax(-1)
        return (weights @ v).transpose(1, 2).flatten(2)


class Output(nn.Module):
    """A linear layer, then residual sum and norm."""

    def __init__(self, inside, outside, eps):
        super().__init__()
        self.dense = nn.Linear(inside, outside)
        self.LayerNorm = nn.LayerNorm(outside, eps=eps)

    def forward(self, x, residual, dropout):
        return self.LayerNorm(dropout(self.dense(x)) + residual)


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention = nn.ModuleDict({"self": SelfAttention(c),
                                        "output": Output(c.hidden_size, c.hidden_size, c.layer_norm_eps)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(c.hidden_size, c.intermediate_size)})
        self.output = Output(c.intermediate_size, c.hidden_size, c.layer_norm_eps)

    def forward(self, x, mask, dropout):
        x = self.attention["output"](self.attention["self"](x, mask), x, dropout)
        return self.output(F.gelu(self.intermediate["dense"](x)), x, dropout)


class TextEncoder(nn.Module):
    def __init__(self, config, dropout=0.0):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))})
        self.dropout = nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        # Words start well apart, like the frozen features of a pretrained encoder. With RoBERTa's 0.02 for all,
        # a small encoder trained along soon gives every sentence of one colour the same features.
        nn.init.normal_(self.embeddings.word_embeddings.weight, std=1.0)
        nn.init.normal_(self.embeddings.position_embeddings.weight, std=0.3)
        nn.init.zeros_(self.embeddings.token_type_embeddings.weight)

    def forward(self, ids, mask):
        """ids [P,S] int64, mask [P,S] bool (True = a token) -> [P,S,C]"""
        x = self.dropout(self.embeddings(ids))
        for layer in self.encoder["layer"]:
            x = layer(x, mask, self.dropout)
        return x
