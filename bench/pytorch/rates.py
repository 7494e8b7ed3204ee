"""What a device can do at most, by PyTorch: FLOP/s of one large product in FP16 and in FP32, bytes/s of copies.

    python bench/pytorch/rates.py [--device cuda:0] [--short]

Prints one JSON value; bytes of a copy on the device are counted twice, once read and once written. Without torch or the device:
{"available": false, "reason": …} and exit code 3.
"""
import argparse
import json
import statistics
import sys
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--short", action="store_true", help="small sizes, to try the script")
    options = parser.parse_args()

    def unavailable(reason):
        print(json.dumps({"available": False, "reason": reason}))
        sys.exit(3)

    try:
        import torch
    except ImportError as error:
        unavailable(f"PyTorch cannot be imported: {error}")
    cuda = options.device.startswith("cuda")
    if cuda and not torch.cuda.is_available():
        unavailable(f"PyTorch {torch.__version__} sees no CUDA device")
    device = torch.device(options.device)
    n, count, runs = (512, 2**22, 5) if options.short else (8192, 2**30, 30)

    def seconds(action):
        times = []
        for run in range(-5, runs):
            if cuda:
                torch.cuda.synchronize(device)
            start = time.perf_counter()
            action()
            if cuda:
                torch.cuda.synchronize(device)
            if run >= 0:
                times.append(time.perf_counter() - start)
        return statistics.median(times)

    def product(dtype):
        a = torch.randn(n, n, device=device).to(dtype)
        b = torch.randn(n, n, device=device).to(dtype)
        return 2 * n**3 / seconds(lambda: torch.mm(a, b))

    host = torch.empty(count, dtype=torch.uint8, pin_memory=cuda)
    first, second = (torch.empty(count, dtype=torch.uint8, device=device) for _ in range(2))
    half = torch.float16 if cuda else torch.float32
    print(json.dumps({
        "available": True, "torch": torch.__version__, "matrix": n,
        "fp16FlopPerSecond": product(half) if cuda else None, "fp32FlopPerSecond": product(torch.float32),
        "copies": {
            "bytes": count,
            "onDevice": 2 * count / seconds(lambda: second.copy_(first)),
            "toDevice": count / seconds(lambda: first.copy_(host, non_blocking=True)),
            "toHost": count / seconds(lambda: host.copy_(first, non_blocking=True)),
        }}))


if __name__ == "__main__":
    main()
