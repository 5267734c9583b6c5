// CIPS-3D's implicit network for one face: all its layers and the colours, in one kernel.
//
// Zhou et al., "CIPS-3D" (2021), section 3.3: blocks of two modulated 1 x 1 layers with leaky ReLUs, the later
// ones of which add their own input, and colours summed up over the last of them. Modulation
// and demodulation are folded into the weights.
//
// A block takes MQ_ROWS pixels through all layers; their activations never leave shared memory
// (layers.cuh has the products), and what a block adds stays in the registers of whoever made it.
//
// Operations a pixel, with W columns and B blocks: 2 W W (2 B - 1), times three. Weights are read once for
// MQ_ROWS pixels: 4 W W (2 B - 1) / MQ_ROWS bytes a pixel. Device memory sees the features and three colours,
// where separate layers write and read 8 W bytes each.
// Launcher and reference: engine/kernels/inr.py.
#ifndef MQ_ENTERS
#define MQ_ENTERS 32  // columns that enter the first layer, a multiple of 8
#endif
#ifndef MQ_WIDTH
#define MQ_WIDTH 256  // columns of all layers, a multiple of 8
#endif
#define MQ_ROWS 32
#define MQ_WARPS 8
#define MQ_STRIDE ((MQ_WIDTH > MQ_ENTERS ? MQ_WIDTH : MQ_ENTERS) + 4)

#include "layers.cuh"

static_assert(MQ_WIDTH % 8 == 0 && MQ_WIDTH >= 8 && MQ_WIDTH <= 512, "MQ_WIDTH: 8 to 512");
static_assert(MQ_ENTERS % 8 == 0 && MQ_ENTERS >= 8 && MQ_ENTERS <= 512, "MQ_ENTERS: 8 to 512");

// Passed by value; engine/kernels/inr.py holds the same layout.
struct InrParams {
    const float* features;       // [count, inputs]
    const float* first;          // packed [MQ_ENTERS, MQ_WIDTH]
    const float* layers_packed;  // 2 blocks - 1 times packed [MQ_WIDTH, MQ_WIDTH]
    const float* colour;         // [blocks, 3, MQ_WIDTH + 1], a bias at the end of each row
    float* out;                  // [count, 3]
    long long count;
    int inputs;                  // columns of the features, at most MQ_ENTERS
    int blocks;
    int first_skip;              // the first block that adds its own input; not 0
    int first_colour;            // the first that gives a colour
    float slope;                 // of the leaky ReLU
};

// Blocks of 256 threads. Dynamic shared memory: MQ_ROWS * MQ_STRIDE floats.
MQ_KERNEL void __launch_bounds__(MQ_WARPS * 32, 1) inr_colours(const InrParams params) {
    extern __shared__ __align__(16) float shared[];
    float* x = shared;
    const int thread = static_cast<int>(threadIdx.x);
    const int lanes = MQ_WARPS * 32 / MQ_ROWS;  // that share a row's colours
    const float* row = x + thread / lanes * MQ_STRIDE;
    const long long stride = static_cast<long long>(gridDim.x) * MQ_ROWS;
    for (long long base = static_cast<long long>(blockIdx.x) * MQ_ROWS; base < params.count;
         base += stride) {
        __syncthreads();  // nobody reads what the pixels before left
        for (int i = thread; i < MQ_ROWS * MQ_ENTERS; i += MQ_WARPS * 32) {
            const long long pixel = base + i / MQ_ENTERS;
            const int column = i % MQ_ENTERS;
            const bool there = pixel < params.count && column < params.inputs;
            x[i / MQ_ENTERS * MQ_STRIDE + column] =
                there ? params.features[pixel * params.inputs + column] : 0.0f;
        }
        __syncthreads();
        mq::Sums<MQ_WIDTH> sums, kept = {};
        float colours[3] = {0.0f, 0.0f, 0.0f};
        for (int layer = 0; layer < 2 * params.blocks; ++layer) {
            const int block = layer / 2;
            if (layer == 0) {
                mq::multiply<MQ_ENTERS, MQ_WIDTH>(x, params.first, sums);
            } else {
                const float* weights =
                    params.layers_packed + static_cast<size_t>(layer - 1) * MQ_WIDTH * MQ_WIDTH;
                mq::multiply<MQ_WIDTH, MQ_WIDTH>(x, weights, sums);
            }
            const bool ends = layer % 2 == 1, adds = ends && block >= params.first_skip;
#pragma unroll
            for (int m = 0; m < MQ_ROWS / 16; ++m)
#pragma unroll
                for (int n = 0; n < mq::Sums<MQ_WIDTH>::tiles; ++n)
#pragma unroll
                    for (int i = 0; i < 4; ++i) {
                        float value = sums.value[m][n][i];
                        value = value < 0.0f ? value * params.slope : value;
                        if (adds) value += kept.value[m][n][i];
                        if (ends) kept.value[m][n][i] = value;
                        sums.value[m][n][i] = value;
                    }
            mq::write_back(x, sums, [](float value, int, int) { return value; });
            if (!ends || block < params.first_colour) continue;
#pragma unroll
            for (int i = 0; i < 3; ++i)
                colours[i] += mq::row_dot(
                    row, params.colour + (3 * block + i) * (MQ_WIDTH + 1), MQ_WIDTH);
        }
        const long long pixel = base + thread / lanes;
        if (thread % lanes == 0 && pixel < params.count)
#pragma unroll
            for (int i = 0; i < 3; ++i) params.out[3 * pixel + i] = tanhf(colours[i]);
    }
}
