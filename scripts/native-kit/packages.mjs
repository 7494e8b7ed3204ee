// What a kit is made of: public packages, pinned. pip checks the hashes of wheels, cargo those of crates; `digest` holds
// the headers' text itself. To move to newer versions: change them here, and take the new figures from the error lines.

/** The CUDA compiler and its runtime: a folder that serves as CUDA_HOME. */
export const cuda = {
  name: 'CUDA compiler',
  version: '13.5.37',
  megabytes: 129,
  wheels: [
    ['nvidia-cuda-nvcc==13.5.37', 'f5c4f7ead5d964fb4af42bbf1e6d3ec3c1e6e9d83b53749f691d387e7fcaa3a7'],
    ['nvidia-cuda-crt==13.5.37', 'e898b7f73d3035fa89915a3f7bf3b54a73e90249746111aed295822c4729bb29'],
    ['nvidia-nvvm==13.5.37', 'c41bfa362e407405163f103c2229f0765f8cc2ed7d148b754dc77f228bf7e070'],
    ['nvidia-cuda-runtime==13.5.37', 'df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d'],
    ['nvidia-cuda-cccl==13.3.5.0.6', 'd5230098fa2df5021e1a00c0c4eee41797671a91119d31e892463e5ccf3ee326'],
  ],
  folder: 'nvidia/cu13',
  /** Wheels have no links: the name that a linker looks for. */
  links: [['lib/libcudart.so', 'libcudart.so.13']],
};

/** TensorRT-RTX' engine builder, runtime and ONNX parser. */
export const rtx = {
  name: 'TensorRT-RTX libraries',
  version: '1.7.1.116',
  megabytes: 95,
  wheels: [['tensorrt-rtx-cu13-libs==1.7.1.116', 'e3fd45fed001240d63304e77a2d4006319b839994237cb294b6e7ad72acaabcd']],
  folder: 'tensorrt_rtx_libs',
  links: [],
};

/** Headers of both flavours: crates carry them. `folders`: name in the crate → flavour and version. */
export const headers = {
  name: 'TensorRT headers',
  version: '11.4-rtx1.7',
  megabytes: 2,
  crates: [
    {
      crate: 'trtx-sys',
      version: '0.9.1',
      folders: { 'TRT-RTX-1.7': 'tensorrt-rtx-1.7', 'TRT-Enterprise-11.4': 'tensorrt-11.4' },
    },
    {
      crate: 'trtx-sys',
      version: '0.4.0',
      folders: { 'TRT-RTX-1.4': 'tensorrt-rtx-1.4', 'TRT-Enterprise-10.16': 'tensorrt-10.16' },
    },
  ],
  digest: '30d0d05bd6df346d062a83f7835994138365e1385490b41934522960425da7ed',
};

/**
 * OpenVINO for processors: of the wheel, what its C library needs to run ONNX graphs on the CPU, and the C headers. The wheel
 * is of one Python's because its name must be known; nothing of Python in it is used.
 */
export const openVino = {
  name: 'OpenVINO',
  version: '2026.4.1',
  megabytes: 59,
  wheels: [['openvino==2026.4.1', '2d22b1da03f7caf74df30e9f6417d0ab2f637e4a38e08e1dcd294d2c37407aaf']],
  platform: ['--platform', 'manylinux_2_28_x86_64', '--implementation', 'cp', '--python-version', '3.11'],
  folder: 'openvino',
  links: [],
  libraries: [
    /^libopenvino\.so/,
    /^libopenvino_c\.so/,
    /^libopenvino_onnx_frontend\.so/,
    // What it compiled is stored in this form.
    /^libopenvino_ir_frontend\.so/,
    /^libopenvino_intel_cpu_plugin\.so/,
    /^libtbb\.so/,
    /^libtbbmalloc\.so/,
    /^libtbbbind_2_5\.so/,
    /^libhwloc\.so/,
  ],
};

/** A C++ compiler with its own libraries for every target, musl among them: what packages for Alpine are compiled with. */
export const zig = {
  name: 'Zig',
  version: '0.15.2',
  megabytes: 94,
  wheels: [['ziglang==0.15.2', '806316453d1ede7174ed3fefb8e5348154629089c3bb5fe812dfd0e172fac130']],
  folder: 'ziglang',
  links: [],
};
