// What every kernel of Maquette shares: compile-time sizes, group operations, fast math.
//
// Plain CUDA C++ that NVRTC compiles: no host headers. The sizes below are macros because
// each model's sizes are known when its kernels are compiled:
//
//   MQ_CHANNELS    channels of one plane, 4 to 64, a multiple of 8
//   MQ_HIDDEN      hidden units of the decoder, a multiple of 4
//   MQ_FEATURES    colour features of the decoder, a multiple of 4
//   MQ_PLANE_HALF  0: planes are float, 1: IEEE half, 2: bfloat16
//   MQ_PRECISE     1: exact exp and log in the decoder, 0: the hardware's approximations
//   MQ_TENSOR      1: the decoder's products by tensor cores (decoder_tensor.cuh), 32 points of a
//                  warp at a time: MQ_HIDDEN and MQ_FEATURES are multiples of 8, a ray has all 32 lanes
//   MQ_MIN_BLOCKS  blocks of 128 threads that a multiprocessor must be able to hold: more of
//                  them leave fewer registers to each thread. On an H200 (128 x 128 rays,
//                  96 samples, float planes) 1 to 5 take 1.531, 1.533, 1.561, 1.555 and
//                  1.806 ms. The first-level cache is the limit (91 % busy), so further warps
//                  gain nothing, and the spills of 3 (168 registers) and more go through it.
//                  1 and 2 both allow the 255 registers that a thread can have at most
//   MQ_LANES       lanes that work on one ray: a power of two that divides the warp
//
// The tests run the sources on a CPU: their emulation (MQ_HOST) defines the names of CUDA that are
// used here, and what is written as PTX.
#pragma once

#ifndef MQ_CHANNELS
#define MQ_CHANNELS 32
#endif
#ifndef MQ_HIDDEN
#define MQ_HIDDEN 64
#endif
#ifndef MQ_FEATURES
#define MQ_FEATURES 32
#endif
#ifndef MQ_PLANE_HALF
#define MQ_PLANE_HALF 0
#endif
#ifndef MQ_PRECISE
#define MQ_PRECISE 0
#endif
#ifndef MQ_TENSOR
#define MQ_TENSOR 0
#endif
#ifndef MQ_MIN_BLOCKS
#define MQ_MIN_BLOCKS 2
#endif
#ifndef MQ_LANES
#define MQ_LANES 16
#endif

static_assert(MQ_CHANNELS % 8 == 0 && MQ_CHANNELS <= 64, "MQ_CHANNELS: a multiple of 8, at most 64");
static_assert(MQ_HIDDEN % 4 == 0, "MQ_HIDDEN: a multiple of 4");
static_assert(MQ_FEATURES % 4 == 0, "MQ_FEATURES: a multiple of 4");
static_assert(MQ_LANES == 1 || MQ_LANES == 2 || MQ_LANES == 4 || MQ_LANES == 8 || MQ_LANES == 16 ||
                  MQ_LANES == 32,
              "MQ_LANES: a power of two, at most 32");

#define MQ_DEVICE __device__ __forceinline__
#define MQ_KERNEL extern "C" __global__

namespace mq {

// ---------------------------------------------------------------- lanes of one ray
//
// A group is MQ_LANES neighbouring lanes of one warp. All of them call these together;
// other groups of the warp may be elsewhere.

MQ_DEVICE int lane() { return static_cast<int>(threadIdx.x) & (MQ_LANES - 1); }

MQ_DEVICE unsigned int group_mask() {
    if (MQ_LANES == 32) return 0xffffffffu;
    const unsigned int ones = (1u << (MQ_LANES & 31)) - 1u;
    return ones << (threadIdx.x & 31u & ~static_cast<unsigned int>(MQ_LANES - 1));
}

// Makes what the group's lanes wrote to shared memory visible to all of them.
MQ_DEVICE void group_sync() { __syncwarp(group_mask()); }

MQ_DEVICE float shuffle_xor(float value, int offset) {
    return __shfl_xor_sync(group_mask(), value, offset, MQ_LANES);
}
MQ_DEVICE float shuffle_up(float value, int offset) {
    return __shfl_up_sync(group_mask(), value, offset, MQ_LANES);
}
MQ_DEVICE float shuffle_from(float value, int source) {
    return __shfl_sync(group_mask(), value, source, MQ_LANES);
}

// Sum over the group, the same in every lane and on every run.
MQ_DEVICE float group_sum(float value) {
#pragma unroll
    for (int offset = MQ_LANES / 2; offset > 0; offset >>= 1) value += shuffle_xor(value, offset);
    return value;
}

// Product of this lane's value and those of all lanes before it.
MQ_DEVICE float group_scan_product(float value) {
#pragma unroll
    for (int offset = 1; offset < MQ_LANES; offset <<= 1) {
        const float before = shuffle_up(value, offset);
        if (lane() >= offset) value *= before;
    }
    return value;
}

// Sum of this lane's value and those of all lanes before it.
MQ_DEVICE float group_scan_sum(float value) {
#pragma unroll
    for (int offset = 1; offset < MQ_LANES; offset <<= 1) {
        const float before = shuffle_up(value, offset);
        if (lane() >= offset) value += before;
    }
    return value;
}

// Largest of this lane's value and those of all lanes before it.
MQ_DEVICE float group_scan_max(float value) {
#pragma unroll
    for (int offset = 1; offset < MQ_LANES; offset <<= 1) {
        const float before = shuffle_up(value, offset);
        if (lane() >= offset) value = fmaxf(value, before);
    }
    return value;
}

// ---------------------------------------------------------------- functions

// log(1 + exp(x)) as torch's softplus gives it: x itself above 20.
MQ_DEVICE float softplus(float x) { return x > 20.0f ? x : log1pf(expf(x)); }

// The same within 8e-7: max(x, 0) + log(1 + exp(-|x|)), by the hardware's exp and log.
// Rounding 1 + exp(-|x|) costs 6e-8, the logarithm near 1 at most 4e-7.
MQ_DEVICE float softplus_hidden(float x) {
#if MQ_PRECISE
    return softplus(x);
#else
    return fmaxf(x, 0.0f) + __logf(1.0f + __expf(-fabsf(x)));
#endif
}

MQ_DEVICE float sigmoid(float x) {
#if MQ_PRECISE
    return 1.0f / (1.0f + expf(-x));
#else
    return __fdividef(1.0f, 1.0f + __expf(-x));
#endif
}

// Element `index` of linspace(0, 1, count), from the nearer end as torch computes it.
MQ_DEVICE float linspace01(int index, int count) {
    if (count < 2) return 0.0f;
    const float step = 1.0f / static_cast<float>(count - 1);
    return index < count / 2 ? step * static_cast<float>(index)
                             : 1.0f - step * static_cast<float>(count - 1 - index);
}

}  // namespace mq
