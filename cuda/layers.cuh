// Layers of points as products of matrices: a block takes MQ_ROWS points, whose activations stay in shared
// memory, and its MQ_WARPS warps share the columns of a layer, each holding its sums for all rows
// in registers. Weights come in the order in which the lanes of a warp need them
// (engine/kernels/field.py packs them), 8 bytes a lane, from the second-level cache mostly.
//
// Products keep 32 bits: a float is split into the 11 bits that a tensor core takes and the next 11,
// and three of the four partial products are added (Ootomo and Yokota, "Recovering single precision
// accuracy from Tensor Cores", 2022). A tensor core cuts off what its sums do not hold, always towards zero,
// which a long sum would gather: it adds eight columns only, and an ordinary addition, which rounds, the
// rest (same source, section 3). MQ_PRODUCTS 1 leaves out the small products: three times fewer, three
// digits less.
//
// Whoever includes this has defined before:
//   MQ_ROWS    points of a block, a multiple of 16
//   MQ_WARPS   warps of a block
//   MQ_STRIDE  floats from one point's activations to the next one's; four more than a multiple of eight, so
//              that rows begin in different banks
#pragma once

#include "numbers.cuh"

#ifndef MQ_PRODUCTS
#define MQ_PRODUCTS 3
#endif

namespace mq {

// The sums of one warp: rows of 16, columns of 8.
template <int COLUMNS>
struct Sums {
    static const int tiles = (COLUMNS / 8 + MQ_WARPS - 1) / MQ_WARPS;
    float value[MQ_ROWS / 16][tiles][4];
};

// sums = x w for all rows of x [MQ_ROWS, INNER] and this warp's columns of w [INNER, COLUMNS]: every
// eighth tile of eight columns.
template <int INNER, int COLUMNS>
MQ_DEVICE void multiply(const float* x, const float* packed, Sums<COLUMNS>& sums) {
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) / 32;
    const int g = lane / 4, t = lane % 4;
    const float2* weights = reinterpret_cast<const float2*>(packed) + lane;
#pragma unroll
    for (int m = 0; m < MQ_ROWS / 16; ++m)
#pragma unroll
        for (int n = 0; n < Sums<COLUMNS>::tiles; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) sums.value[m][n][i] = 0.0f;
#pragma unroll 1
    for (int k = 0; k < INNER / 8; ++k) {
        unsigned int high[Sums<COLUMNS>::tiles][2], low[Sums<COLUMNS>::tiles][2];
#pragma unroll
        for (int n = 0; n < Sums<COLUMNS>::tiles; ++n) {
            const int tile = n * MQ_WARPS + warp;
            if (tile >= COLUMNS / 8) continue;
            const float2 pair = __ldg(weights + (k * (COLUMNS / 8) + tile) * 32);
            split(pair.x, high[n][0], low[n][0]);
            split(pair.y, high[n][1], low[n][1]);
        }
#pragma unroll
        for (int m = 0; m < MQ_ROWS / 16; ++m) {
            const float* from = x + (16 * m + g) * MQ_STRIDE + 8 * k + t;
            unsigned int left[4], rest[4];
            split(from[0], left[0], rest[0]);
            split(from[8 * MQ_STRIDE], left[1], rest[1]);
            split(from[4], left[2], rest[2]);
            split(from[8 * MQ_STRIDE + 4], left[3], rest[3]);
#pragma unroll
            for (int n = 0; n < Sums<COLUMNS>::tiles; ++n) {
                if (n * MQ_WARPS + warp >= COLUMNS / 8) continue;
                float part[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#if MQ_PRODUCTS == 3
                mma_tf32(part, rest, high[n]);
                mma_tf32(part, left, low[n]);
#endif
                mma_tf32(part, left, high[n]);
#pragma unroll
                for (int i = 0; i < 4; ++i) sums.value[m][n][i] += part[i];
            }
        }
    }
}

// x [MQ_ROWS, COLUMNS] = the sums after `finish(sum, row, column)`, once all warps have read x.
template <int COLUMNS, class Finish>
MQ_DEVICE void write_back(float* x, const Sums<COLUMNS>& sums, const Finish& finish) {
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) / 32;
    __syncthreads();
#pragma unroll
    for (int m = 0; m < MQ_ROWS / 16; ++m)
#pragma unroll
        for (int n = 0; n < Sums<COLUMNS>::tiles; ++n) {
            const int tile = n * MQ_WARPS + warp;
            if (tile >= COLUMNS / 8) continue;
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int row = 16 * m + lane / 4 + 8 * (i / 2);
                const int column = 8 * tile + 2 * (lane % 4) + i % 2;
                x[row * MQ_STRIDE + column] = finish(sums.value[m][n][i], row, column);
            }
        }
    __syncthreads();
}

// The dot product of a row of x with weights [count], the same in all of the row's lanes; a bias
// stands behind the weights.
MQ_DEVICE float row_dot(const float* row, const float* weights, int count) {
    const int lanes = MQ_WARPS * 32 / MQ_ROWS;
    float sum = 0.0f;
    for (int i = static_cast<int>(threadIdx.x) % lanes; i < count; i += lanes)
        sum += row[i] * __ldg(weights + i);
#pragma unroll
    for (int offset = lanes / 2; offset > 0; offset /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, offset);
    return sum + __ldg(weights + count);
}

// Rows of x to device memory, [count, columns] from row `base` on.
MQ_DEVICE void write_rows(const float* x, float* out, long long base, long long count,
                          int columns) {
    for (int i = static_cast<int>(threadIdx.x); i < MQ_ROWS * columns; i += MQ_WARPS * 32) {
        const int row = i / columns, column = i % columns;
        if (base + row < count) out[(base + row) * columns + column] = x[row * MQ_STRIDE + column];
    }
}

}  // namespace mq
