// A field of one identity at free points: all its layers in one kernel, by tensor cores.
//
// The layers are plain ones by then: frequencies, phases and styles are folded into weights and
// biases. Two kinds:
//   MQ_OCTAVES 0: points enter as they are, layers end in a sine: FiLM-SIREN. Sitzmann et al.,
//     "Implicit Neural Representations with Periodic Activation Functions" (2020); Chan et al.,
//     "pi-GAN" (2021), equation 3.
//   MQ_OCTAVES L: sines, then cosines of points times L frequencies enter, layers end in a leaky
//     ReLU: the modulated NeRF of Gu et al., "StyleNeRF" (2022), sections 3.1 and 3.2.
// Then, each where it is asked for: a linear density; the last layer's activations; one more sine layer,
// which may see the direction of the view; and up to four sigmoid colours from that.
//
// A block takes MQ_ROWS points through all layers; their activations never leave shared memory
// (layers.cuh has the products).
//
// Operations a point, with W inner columns and N layers: 2 W W (N - 1), times three. Weights are
// read once for MQ_ROWS points: 4 W W (N - 1) bytes a block.
#ifndef MQ_VIEW
#define MQ_VIEW 0     // columns of the layer behind the inner ones, a multiple of 8, or none
#endif
#ifndef MQ_COLOURS
#define MQ_COLOURS 0
#endif

#include "points.cuh"

static_assert(MQ_COLOURS <= 4, "too many colours");

// Passed by value; engine/kernels/field.py holds the same layout.
struct FieldParams {
    const float* points;       // [count, MQ_INPUTS]
    const float* directions;   // [count / per_direction, 3], or null
    const float* frequencies;  // [MQ_OCTAVES]
    const float* first;        // [MQ_WIDTH, MQ_INPUTS], or packed [MQ_ENCODED, MQ_WIDTH]
    const float* layers_packed;  // layers - 1 times packed [MQ_WIDTH, MQ_WIDTH]
    const float* biases;       // [layers, MQ_WIDTH]
    const float* density;      // [MQ_WIDTH], then a bias
    const float* view;         // packed [MQ_WIDTH, MQ_VIEW]
    const float* view_bias;    // [MQ_VIEW]
    const float* view_turn;    // [MQ_VIEW, 3] for the direction
    const float* colour;       // [MQ_COLOURS, MQ_VIEW + 1], a bias at the end of each row
    float* out_density;        // [count], or null
    float* out_hidden;         // [count, MQ_WIDTH], or null
    float* out_view;           // [count, MQ_VIEW], or null
    float* out_colour;         // [count, MQ_COLOURS], or null
    long long count;
    long long per_direction;   // neighbouring points that share a direction
    int layers;
    float slope;               // of the leaky ReLU
};

// Blocks of 256 threads. Dynamic shared memory: MQ_ROWS * (MQ_STRIDE + MQ_INPUTS + 3) floats.
MQ_KERNEL void __launch_bounds__(MQ_WARPS * 32, 1) field_eval(const FieldParams params) {
    extern __shared__ __align__(16) float shared[];
    float* x = shared;
    float* points = x + MQ_ROWS * MQ_STRIDE;
    float* directions = points + MQ_ROWS * MQ_INPUTS;
    const int thread = static_cast<int>(threadIdx.x);
    const int own = thread / (MQ_WARPS * 32 / MQ_ROWS);  // the row whose dot products it takes part in
    const bool writes = thread % (MQ_WARPS * 32 / MQ_ROWS) == 0;
    const long long stride = static_cast<long long>(gridDim.x) * MQ_ROWS;
    for (long long base = static_cast<long long>(blockIdx.x) * MQ_ROWS; base < params.count;
         base += stride) {
        __syncthreads();  // nobody reads what the points before left
        for (int i = thread; i < MQ_ROWS * MQ_INPUTS; i += MQ_WARPS * 32)
            points[i] = base + i / MQ_INPUTS < params.count ? params.points[base * MQ_INPUTS + i]
                                                            : 0.0f;
        for (int i = thread; i < MQ_ROWS * 3; i += MQ_WARPS * 32) {
            const long long row = base + i / 3;
            const bool seen = params.directions != nullptr && row < params.count;
            directions[i] = seen ? params.directions[row / params.per_direction * 3 + i % 3] : 0.0f;
        }
        __syncthreads();

        mq::inner_layers(params, points, x);
        if (params.out_density != nullptr) {
            const float density = mq::row_dot(x + own * MQ_STRIDE, params.density, MQ_WIDTH);
            if (writes && base + own < params.count) params.out_density[base + own] = density;
        }
        if (params.out_hidden != nullptr)
            mq::write_rows(x, params.out_hidden, base, params.count, MQ_WIDTH);
#if MQ_VIEW > 0
        if (params.out_view == nullptr && params.out_colour == nullptr) continue;
        {
            mq::Sums<MQ_VIEW> sums;
            mq::multiply<MQ_WIDTH, MQ_VIEW>(x, params.view, sums);
            mq::write_back(x, sums, [&](float sum, int row, int column) {
                sum += __ldg(params.view_bias + column);
                if (params.directions != nullptr)
                    for (int j = 0; j < 3; ++j)
                        sum += directions[3 * row + j] * __ldg(params.view_turn + 3 * column + j);
                return sinf(sum);
            });
        }
        if (params.out_view != nullptr)
            mq::write_rows(x, params.out_view, base, params.count, MQ_VIEW);
#if MQ_COLOURS > 0
        if (params.out_colour != nullptr)
            for (int i = 0; i < MQ_COLOURS; ++i) {
                const float raw = mq::row_dot(x + own * MQ_STRIDE,
                                              params.colour + i * (MQ_VIEW + 1), MQ_VIEW);
                if (writes && base + own < params.count)
                    params.out_colour[(base + own) * MQ_COLOURS + i] = 1.0f / (1.0f + expf(-raw));
            }
#endif
#endif
    }
}
