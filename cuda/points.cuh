// The inner layers of a field of one identity, at the points of a block: see field.cu, which says what they are.
//
// Whoever includes this may define before: MQ_VIEW, columns of a layer that follows in the same memory.
#pragma once

#ifndef MQ_INPUTS
#define MQ_INPUTS 3   // coordinates of a point, 3 or 4
#endif
#ifndef MQ_OCTAVES
#define MQ_OCTAVES 0
#endif
#ifndef MQ_WIDTH
#define MQ_WIDTH 256  // columns of the inner layers, a multiple of 8
#endif
#ifndef MQ_VIEW
#define MQ_VIEW 0
#endif
#define MQ_ROWS 64
#define MQ_WARPS 8

#define MQ_LARGER(a, b) ((a) > (b) ? (a) : (b))
// Columns that enter the first layer as a matrix, and of the widest activations.
#define MQ_ENCODED ((2 * MQ_OCTAVES * MQ_INPUTS + 7) / 8 * 8)
#define MQ_WIDEST MQ_LARGER(MQ_WIDTH, MQ_LARGER(MQ_VIEW, MQ_ENCODED))
#define MQ_STRIDE (MQ_WIDEST + 4)

#include "layers.cuh"

static_assert(MQ_WIDTH % 8 == 0 && MQ_WIDTH >= 8 && MQ_WIDTH <= 256, "MQ_WIDTH: 8 to 256");
static_assert(MQ_VIEW % 8 == 0 && MQ_VIEW <= 256, "MQ_VIEW: a multiple of 8, at most 256");
static_assert(MQ_ENCODED <= 256, "too many inputs");

namespace mq {

MQ_DEVICE float activated(float x, float slope) {
#if MQ_OCTAVES == 0
    (void)slope;
    return sinf(x);
#else
    return x < 0.0f ? x * slope : x;
#endif
}

// x [MQ_ROWS, MQ_STRIDE] = activations of the last inner layer at points [MQ_ROWS, MQ_INPUTS], both in shared
// memory; called by all threads, with what they wrote there made visible before and after. `params` has the
// members first, frequencies, layers_packed, biases, layers and slope of FieldParams.
template <class Params>
MQ_DEVICE void inner_layers(const Params& params, const float* points, float* x) {
    const int thread = static_cast<int>(threadIdx.x);
#if MQ_OCTAVES == 0
    for (int i = thread; i < MQ_ROWS * MQ_WIDTH; i += MQ_WARPS * 32) {
        const int row = i / MQ_WIDTH, column = i % MQ_WIDTH;
        float sum = __ldg(params.biases + column);
#pragma unroll
        for (int j = 0; j < MQ_INPUTS; ++j)
            sum += points[row * MQ_INPUTS + j] * __ldg(params.first + column * MQ_INPUTS + j);
        x[row * MQ_STRIDE + column] = activated(sum, params.slope);
    }
    __syncthreads();
#else
    for (int i = thread; i < MQ_ROWS * MQ_ENCODED; i += MQ_WARPS * 32) {
        const int row = i / MQ_ENCODED, column = i % MQ_ENCODED;
        const int half = MQ_OCTAVES * MQ_INPUTS;
        float value = 0.0f;  // of the columns that fill up the last eight
        if (column < 2 * half) {
            const int index = column % half;
            const float angle = points[row * MQ_INPUTS + index % MQ_INPUTS] *
                                __ldg(params.frequencies + index / MQ_INPUTS);
            value = column < half ? sinf(angle) : cosf(angle);
        }
        x[row * MQ_STRIDE + column] = value;
    }
    __syncthreads();
    {
        Sums<MQ_WIDTH> sums;
        multiply<MQ_ENCODED, MQ_WIDTH>(x, params.first, sums);
        write_back(x, sums, [&](float sum, int, int column) {
            return activated(sum + __ldg(params.biases + column), params.slope);
        });
    }
#endif
    for (int layer = 1; layer < params.layers; ++layer) {
        Sums<MQ_WIDTH> sums;
        const float* weights =
            params.layers_packed + static_cast<size_t>(layer - 1) * MQ_WIDTH * MQ_WIDTH;
        multiply<MQ_WIDTH, MQ_WIDTH>(x, weights, sums);
        write_back(x, sums, [&](float sum, int, int column) {
            return activated(sum + __ldg(params.biases + layer * MQ_WIDTH + column),
                                 params.slope);
        });
    }
}

}  // namespace mq
