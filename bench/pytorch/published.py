"""The published algorithm in PyTorch, for comparison: the whole network once for each pair of window and sentence, one clip
at a time, all object queries' masks in floating point, then the chosen one's upsampled and thresholded.

    python bench/pytorch/published.py --config config.json [--sentences 1,2,8] [--runs 10] [--compile]

Random weights: speed does not depend on values. Weights and products are FP16; what has to be FP32 is left to autocast.
Prints one JSON value: milliseconds a window from uint8 frames on the host to masks on the host, frames a second. Without
torch or CUDA: {"available": false, "reason": …} and exit code 3.
"""
import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True, help="architecture, as rvos import --architecture reads it")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--tokens", type=int, default=12)
    parser.add_argument("--sentences", default="1,2,8")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="through torch.compile")
    # For trying the script where there is no GPU.
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="float16", choices=["float16", "bfloat16"])
    return parser.parse_args()


def unavailable(reason):
    print(json.dumps({"available": False, "reason": reason}))
    sys.exit(3)


def main():
    options = parse()
    try:
        import torch
        import torch.nn.functional as F
    except ImportError as error:
        unavailable(f"PyTorch cannot be imported: {error}")
    if options.device == "cuda" and not torch.cuda.is_available():
        unavailable(f"PyTorch {torch.__version__} sees no CUDA device")
    if options.compile and not hasattr(torch, "compile"):
        unavailable(f"PyTorch {torch.__version__} has no torch.compile")
    from rvos_training.config import Config
    from rvos_training.mttr import MTTR, normalize

    torch.manual_seed(0)
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    model = MTTR(Config.load(options.config)).eval().to(device=device, dtype=dtype)
    encode_text = model.transformer.encode_text

    def encode_text_in_half(*inputs):
        # All of it fits FP16, and its mask is the smallest number of its own type.
        with torch.autocast(device.type, enabled=False):
            return encode_text(*inputs)
    model.transformer.encode_text = encode_text_in_half
    network = torch.compile(model) if options.compile else model

    t, height, width = options.frames, options.height, options.width
    frames = torch.randint(0, 256, (t, height, width, 3), dtype=torch.uint8)
    if device.type == "cuda":
        frames = frames.pin_memory()

    def synchronize():
        if device.type == "cuda":
            torch.cuda.synchronize()

    def window(sentences):
        """Frames on the host to masks on the host; each sentence has its own pass, as published."""
        masks = []
        for ids in sentences:
            clip = normalize(frames.to(device, non_blocking=True))[:, None].to(dtype)  # [T,1,3,H,W]
            ids = ids.to(device, non_blocking=True)
            with torch.autocast(device.type, dtype=dtype):
                out = network(clip, ids, torch.ones_like(ids))
            scores = out["pred_is_referred"][-1].float().softmax(-1)[..., 0].mean(0)  # [1,N]
            best = scores.argmax(-1)[0]
            logits = out["pred_masks"][-1][:, :, best].float()  # [T,1,h0,w0]
            large = F.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
            masks.append((large.sigmoid() > 0.5)[:, 0].to(torch.uint8).cpu())
        return masks

    results = []
    with torch.inference_mode():
        for count in [int(n) for n in options.sentences.split(",")]:
            sentences = [torch.randint(4, 1000, (1, options.tokens)) for _ in range(count)]
            for _ in range(options.warmup):
                window(sentences)
            times = []
            for _ in range(options.runs):
                synchronize()
                start = time.perf_counter()
                masks = window(sentences)
                synchronize()
                times.append(time.perf_counter() - start)
            assert len(masks) == count and masks[0].shape == (t, height, width)
            seconds = statistics.median(times)
            results.append({"sentences": count, "milliseconds": seconds * 1e3, "framesPerSecond": t / seconds})
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    print(json.dumps({
        "available": True, "torch": torch.__version__, "mode": "compiled" if options.compile else "eager",
        "dtype": options.dtype, "frames": t, "height": height, "width": width, "peakDeviceBytes": peak,
        "results": results}))


if __name__ == "__main__":
    main()
