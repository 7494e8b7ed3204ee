// What a header of per-pixel functors needs so that the same lines compile for the host and, in a .cu file, for the
// device. Nothing here depends on a platform: little-endian 64-bit hosts with IEEE-754 floats are assumed.
//
// Every kernel is built with float contraction off (-ffp-contract=off; nvcc: --fmad=false), because a fused
// multiply-add rounds once where the reference rounds twice.
#pragma once

#if defined(__CUDACC__)
#define RVOS_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define RVOS_HOST_DEVICE inline
#endif

#if defined(__GNUC__) || defined(__clang__)
#define RVOS_RESTRICT __restrict__
#elif defined(_MSC_VER)
#define RVOS_RESTRICT __restrict
#else
#define RVOS_RESTRICT
#endif
