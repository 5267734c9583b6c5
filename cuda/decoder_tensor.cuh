// The tri-plane decoder by tensor cores: the points of a warp's 32 lanes are the rows of its matrices.
//
// One thread decoding one point reads every weight from shared memory, as many 16-byte loads as a quarter of
// its products; here a weight is read once for 32 points. Points' features go through a stage in
// shared memory, a row for each lane; hidden units stay in the registers in which the first product leaves
// them, and the second product takes its inputs in that very order (engine/kernels/fragments.py).
//
// Products keep 32 bits, by numbers that are split in two and three products of them (layers.cuh has the
// source), and sums are floats: what is exact to float32 without tensor cores is so with them.
#pragma once

#include "decoder.cuh"
#include "numbers.cuh"

static_assert(MQ_HIDDEN % 8 == 0 && MQ_FEATURES % 8 == 0, "MQ_TENSOR: multiples of 8");

namespace mq {

// A warp's rows in shared memory, 16-byte aligned. Four more than a multiple of eight: rows then begin in
// different banks.
struct Stage {
    static const int stride = (MQ_CHANNELS > MQ_FEATURES ? MQ_CHANNELS : MQ_FEATURES) + 4;
    static const int count = 32 * stride;
};

// c += a b, where a and b are split. c goes on in the tensor core, which cuts it off every time (layers.cuh):
// little over a decoder's few columns, and what spares it takes a quarter more registers.
MQ_DEVICE void mma_exact(float* c, const unsigned int* high, const unsigned int* low,
                         const unsigned int* b_high, const unsigned int* b_low) {
    mma_tf32(c, low, b_high);
    mma_tf32(c, high, b_low);
    mma_tf32(c, high, b_high);
}

// Hidden units of rows 16 m to 16 m + 15 of the stage: of eight at a time this lane holds rows g, g, g + 8, g + 8
// and columns 2 t, 2 t + 1, 2 t, 2 t + 1.
MQ_DEVICE void hidden_tile(const float* weights, const float* stage, int m,
                           float (&hidden)[MQ_HIDDEN / 8][4]) {
    const int lane = static_cast<int>(threadIdx.x) & 31, g = lane / 4, t = lane % 4;
    const float2* packed = reinterpret_cast<const float2*>(weights + Weights::hidden) + lane;
#pragma unroll
    for (int n = 0; n < MQ_HIDDEN / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) hidden[n][i] = 0.0f;
#pragma unroll 1
    for (int k = 0; k < MQ_CHANNELS / 8; ++k) {
        const float* from = stage + (16 * m + g) * Stage::stride + 8 * k + t;
        unsigned int high[4], low[4];
        split(from[0], high[0], low[0]);
        split(from[8 * Stage::stride], high[1], low[1]);
        split(from[4], high[2], low[2]);
        split(from[8 * Stage::stride + 4], high[3], low[3]);
#pragma unroll
        for (int n = 0; n < MQ_HIDDEN / 8; ++n) {
            const float2 pair = packed[(k * (MQ_HIDDEN / 8) + n) * 32];
            unsigned int b_high[2], b_low[2];
            split(pair.x, b_high[0], b_low[0]);
            split(pair.y, b_high[1], b_low[1]);
            mma_exact(hidden[n], high, low, b_high, b_low);
        }
    }
#pragma unroll
    for (int n = 0; n < MQ_HIDDEN / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i)
            hidden[n][i] = softplus_hidden(
                hidden[n][i] + weights[Weights::hidden_bias + 8 * n + 2 * t + i % 2]);
}

// Features before their sigmoid of rows 16 m to 16 m + 15, into the stage in place of what was read from it.
MQ_DEVICE void feature_tile(const float* weights, float* stage, int m,
                            const float (&hidden)[MQ_HIDDEN / 8][4]) {
    const int lane = static_cast<int>(threadIdx.x) & 31, g = lane / 4, t = lane % 4;
    const float2* packed = reinterpret_cast<const float2*>(weights + Weights::feature) + lane;
    float sums[MQ_FEATURES / 8][4];
#pragma unroll
    for (int n = 0; n < MQ_FEATURES / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i)
            sums[n][i] = weights[Weights::feature_bias + 8 * n + 2 * t + i % 2];
#pragma unroll
    for (int k = 0; k < MQ_HIDDEN / 8; ++k) {
        unsigned int high[4], low[4];
        split(hidden[k][0], high[0], low[0]);
        split(hidden[k][2], high[1], low[1]);
        split(hidden[k][1], high[2], low[2]);
        split(hidden[k][3], high[3], low[3]);
#pragma unroll
        for (int n = 0; n < MQ_FEATURES / 8; ++n) {
            const float2 pair = packed[(k * (MQ_FEATURES / 8) + n) * 32];
            unsigned int b_high[2], b_low[2];
            split(pair.x, b_high[0], b_low[0]);
            split(pair.y, b_high[1], b_low[1]);
            mma_exact(sums[n], high, low, b_high, b_low);
        }
    }
    __syncwarp();  // every lane has read these rows' features
#pragma unroll
    for (int n = 0; n < MQ_FEATURES / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i)
            stage[(16 * m + g + 8 * (i / 2)) * Stage::stride + 8 * n + 2 * t + i % 2] = sums[n][i];
}

// Raw density of each lane's point, and, where `output` is one, its features before their sigmoid. All 32 lanes
// of a warp call it together, each with its own point's features.
template <bool ALL>
MQ_DEVICE float decode_warp(const float* weights, float* stage, const float* features,
                            float* output) {
    const int lane = static_cast<int>(threadIdx.x) & 31, t = lane % 4;
    __syncwarp();  // nobody reads the points before
    float4* own = reinterpret_cast<float4*>(stage + lane * Stage::stride);
#pragma unroll
    for (int c = 0; c < MQ_CHANNELS / 4; ++c) {
        float4 four;
        four.x = features[4 * c];
        four.y = features[4 * c + 1];
        four.z = features[4 * c + 2];
        four.w = features[4 * c + 3];
        own[c] = four;
    }
    __syncwarp();
    float density = 0.0f;
#pragma unroll 1
    for (int m = 0; m < 2; ++m) {
        float hidden[MQ_HIDDEN / 8][4];
        hidden_tile(weights, stage, m, hidden);
        float upper = 0.0f, lower = 0.0f;  // of rows g and g + 8
#pragma unroll
        for (int n = 0; n < MQ_HIDDEN / 8; ++n)
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                const float weight = weights[Weights::density + 8 * n + 2 * t + i];
                upper += weight * hidden[n][i];
                lower += weight * hidden[n][2 + i];
            }
#pragma unroll
        for (int offset = 1; offset < 4; offset *= 2) {
            upper += __shfl_xor_sync(0xffffffffu, upper, offset);
            lower += __shfl_xor_sync(0xffffffffu, lower, offset);
        }
        // Row r of these 16 is in the four lanes from 4 (r % 8) on.
        upper = __shfl_sync(0xffffffffu, upper, 4 * (lane % 8));
        lower = __shfl_sync(0xffffffffu, lower, 4 * (lane % 8));
        if (lane / 16 == m) density = lane % 16 < 8 ? upper : lower;
        if (ALL) feature_tile(weights, stage, m, hidden);
    }
    if (ALL) {
        __syncwarp();
        const float4* row = reinterpret_cast<const float4*>(stage + lane * Stage::stride);
#pragma unroll
        for (int k = 0; k < MQ_FEATURES / 4; ++k) {
            const float4 four = row[k];
            output[4 * k] = four.x;
            output[4 * k + 1] = four.y;
            output[4 * k + 2] = four.z;
            output[4 * k + 3] = four.w;
        }
    }
    return density + weights[Weights::density_bias];
}

}  // namespace mq
