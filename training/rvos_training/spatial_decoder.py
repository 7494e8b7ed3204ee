"""The feature pyramid decoder: encoder memory and the finer backbone levels -> mask features, frame by frame."""
import torch.nn as nn
import torch.nn.functional as F


class SpatialDecoder(nn.Module):
    def __init__(self, d, fine_dims, kernels):
        """d: model width; fine_dims: channels of backbone levels 1 and 0; kernels: channels of the mask features"""
        super().__init__()
        widths = [d, d // 2, d // 4, d // 8]
        self.lay1 = nn.Conv2d(d, widths[0], 3, padding=1)
        self.gn1 = nn.GroupNorm(8, widths[0])
        self.lay2 = nn.Conv2d(widths[0], widths[1], 3, padding=1)
        self.gn2 = nn.GroupNorm(8, widths[1])
        self.lay3 = nn.Conv2d(widths[1], widths[2], 3, padding=1)
        self.gn3 = nn.GroupNorm(8, widths[2])
        self.lay4 = nn.Conv2d(widths[2], widths[3], 3, padding=1)
        self.gn4 = nn.GroupNorm(8, widths[3])
        self.adapter1 = nn.Conv2d(fine_dims[0], widths[1], 1)
        self.adapter2 = nn.Conv2d(fine_dims[1], widths[2], 1)
        self.out_lay = nn.Conv2d(widths[3], kernels, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)

    def forward(self, memory, level1, level0, expand):
        """memory [M,D,h2,w2]; level1, level0 [F,C,h,w], one per frame, which `expand` repeats to M after the
        adapters (they do not depend on the sentence) -> [M,K,h0,w0]"""
        x = F.relu(self.gn1(self.lay1(memory)))
        x = F.relu(self.gn2(self.lay2(x)))
        fine = expand(self.adapter1(level1))
        x = F.interpolate(x, fine.shape[-2:], mode="nearest") + fine
        x = F.relu(self.gn3(self.lay3(x)))
        fine = expand(self.adapter2(level0))
        x = F.interpolate(x, fine.shape[-2:], mode="nearest") + fine
        x = F.relu(self.gn4(self.lay4(x)))
        return self.out_lay(x)
