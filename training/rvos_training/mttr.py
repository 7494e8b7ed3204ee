"""MTTR: the whole network. Parameter names are those of the published checkpoints."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from .spatial_decoder import SpatialDecoder
from .transformer import MultimodalTransformer
from .video_swin import VideoSwin

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalize(frames):
    """uint8 [...,H,W,3] -> float32 [...,3,H,W], ImageNet mean and deviation."""
    x = (frames.float() / 255 - frames.new_tensor(MEAN, dtype=torch.float32)) / frames.new_tensor(STD, dtype=torch.float32)
    return x.movedim(-1, -3).contiguous()


class Mlp(nn.Module):
    def __init__(self, dims):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(dims, dims[1:]))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class MTTR(nn.Module):
    def __init__(self, config, dropout=0.0, drop_path=0.0):
        super().__init__()
        self.config = config
        m = config.mttr
        self.backbone = VideoSwin(config.swin, drop_path)
        self.vid_embed_proj = nn.Conv2d(self.backbone.dims[2], m.d_model, 1)
        self.transformer = MultimodalTransformer(config, dropout)
        self.obj_queries = nn.Embedding(m.num_queries, m.d_model)
        self.spatial_decoder = SpatialDecoder(m.d_model, self.backbone.dims[1::-1], m.mask_kernels_dim)
        self.instance_kernels_head = Mlp([m.d_model, m.d_model, m.mask_kernels_dim])
        self.is_referred_head = nn.Linear(m.d_model, 2)

    def forward(self, frames, input_ids, attention_mask, pad_mask=None, clip_index=None, valid_frames=None,
                until="masks"):
        """
        frames [T,B,3,H,W] normalised; pad_mask [T,B,H,W] bool, True = padding (None: there is none)
        input_ids, attention_mask [P,S]; clip_index [P]: the clip each sentence is about (None: sentence i, clip i)
        valid_frames: indices of the frames that are looked at after the backbone (None: all)
        until: "masks"; or "backbone", "encoder": the parts after it are not run (but for the text encoder), and their
        outputs are missing
        -> pred_masks [L,T,P,N,h0,w0] logits and pred_is_referred [L,T,P,N,2] logits of all decoder layers
        """
        levels = [x.transpose(0, 1) for x in self.backbone(frames.transpose(0, 1))]  # [T,B,h,w,C]
        present = attention_mask.bool()
        text = self.transformer.encode_text(input_ids, present)  # [S,P,D]
        if valid_frames is not None:
            levels = [x[valid_frames] for x in levels]
            pad_mask = None if pad_mask is None else pad_mask[valid_frames]
        if until == "backbone":
            return {"levels": levels, "text": text}
        t, b = levels[0].shape[:2]
        p, s = input_ids.shape
        clip_index = torch.arange(p, device=frames.device) if clip_index is None else clip_index

        def expand(x):  # [(t b),...] -> [(t p),...]
            return x.unflatten(0, (t, b))[:, clip_index].flatten(0, 1)

        level0, level1, level2 = [x.flatten(0, 1).permute(0, 3, 1, 2) for x in levels]  # [(t b),C,h,w]
        if pad_mask is None:
            mask = torch.zeros((t * b,) + level2.shape[-2:], dtype=torch.bool, device=frames.device)
        else:
            mask = F.interpolate(pad_mask.flatten(0, 1)[None].float(), level2.shape[-2:], mode="nearest")[0].bool()
        encoded = self.transformer.encode(expand(self.vid_embed_proj(level2)), expand(mask), text.repeat(1, t, 1),
                                          (~present).repeat(t, 1))
        memory = encoded.video
        if until == "encoder":
            return {"levels": levels, "memory": memory, "text": text}
        hs = self.transformer.decode(encoded, self.obj_queries.weight)
        features = self.spatial_decoder(memory, level1, level0, expand)  # [(t p),K,h0,w0]
        hs = hs.unflatten(2, (t, p)).permute(0, 2, 3, 1, 4)  # [L,T,P,N,D]
        kernels = self.instance_kernels_head(hs)
        masks = torch.einsum("ltpnk,tpkhw->ltpnhw", kernels, features.unflatten(0, (t, p)))
        return {"pred_masks": masks, "pred_is_referred": self.is_referred_head(hs), "instance_kernels": kernels,
                "mask_features": features, "levels": levels, "memory": memory, "hs": hs, "text": text}
