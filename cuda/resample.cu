// Zero insertion, a small FIR filter and decimation of every channel of a picture, then what
// follows a convolution (finish.cuh), in one pass: StyleGAN2's blur behind a transposed convolution
// with its noise, bias and activation, and the doubling of pictures.
//
// With U and D the factors, K the taps and P the zeros before the first value,
//     out[o] = sum over k of filter[K - 1 - k] * in[(o D + k - P) / U]
// along both axes, over the k for which U divides; Karras et al., "Alias-Free Generative Adversarial
// Networks" (2021), appendix. The inserted zeros are never multiplied.
//
// A block makes MQ_TILE x MQ_TILE values of one plane from a tile of its input in shared memory, so
// that device memory is read once but for the tiles' borders. Bound by memory: 8 bytes a value in
// 32 bits, 2 K K / (U U) operations.
// Launcher and reference: engine/kernels/pictures.py.
#include "finish.cuh"

#ifndef MQ_UP
#define MQ_UP 1
#endif
#ifndef MQ_DOWN
#define MQ_DOWN 1
#endif
#ifndef MQ_TAPS_X
#define MQ_TAPS_X 4
#endif
#ifndef MQ_TAPS_Y
#define MQ_TAPS_Y 4
#endif
#define MQ_TILE 32
// Input columns and rows that a tile's values can read.
#define MQ_SPAN_X (((MQ_TILE - 1) * MQ_DOWN + MQ_TAPS_X - 1) / MQ_UP + 2)
#define MQ_SPAN_Y (((MQ_TILE - 1) * MQ_DOWN + MQ_TAPS_Y - 1) / MQ_UP + 2)

struct ResampleParams {
    const mq::number_t* input;  // [planes, height, width]
    mq::number_t* output;       // [planes, out_height, out_width]
    const float* filter;        // [MQ_TAPS_Y, MQ_TAPS_X]
    mq::Finish finish;
    long long planes;           // samples * channels
    int channels;
    int height, width;
    int out_height, out_width;
    int left, top;              // zeros before the first value; negative numbers crop
    float gain;                 // of the filter
};

namespace mq {

// a / b rounded up, b above 0.
MQ_DEVICE int divide_up(int a, int b) { return a >= 0 ? (a + b - 1) / b : -((-a) / b); }

}  // namespace mq

// Dynamic shared memory: MQ_SPAN_Y * MQ_SPAN_X floats, then the filter's.
MQ_KERNEL void __launch_bounds__(256) resample(const ResampleParams params) {
    extern __shared__ __align__(16) float shared[];
    float* filter = shared + MQ_SPAN_X * MQ_SPAN_Y;
    const int thread = static_cast<int>(threadIdx.x);
    const int threads = static_cast<int>(blockDim.x);
    // Turned round, as a true convolution is.
    for (int i = thread; i < MQ_TAPS_X * MQ_TAPS_Y; i += threads)
        filter[i] = params.filter[MQ_TAPS_X * MQ_TAPS_Y - 1 - i] * params.gain;

    const int across = (params.out_width + MQ_TILE - 1) / MQ_TILE;
    const int tiles = across * ((params.out_height + MQ_TILE - 1) / MQ_TILE);
    for (long long item = blockIdx.x; item < params.planes * tiles; item += gridDim.x) {
        const long long plane = item / tiles;
        const int tile = static_cast<int>(item - plane * tiles);
        const int out_x = tile % across * MQ_TILE, out_y = tile / across * MQ_TILE;
        const int first_x = mq::divide_up(out_x * MQ_DOWN - params.left, MQ_UP);
        const int first_y = mq::divide_up(out_y * MQ_DOWN - params.top, MQ_UP);
        const mq::number_t* input =
            params.input + plane * params.height * static_cast<long long>(params.width);
        __syncthreads();  // nobody reads the tile before any more
        for (int i = thread; i < MQ_SPAN_X * MQ_SPAN_Y; i += threads) {
            const int x = first_x + i % MQ_SPAN_X, y = first_y + i / MQ_SPAN_X;
            const bool inside = x >= 0 && y >= 0 && x < params.width && y < params.height;
            shared[i] =
                inside ? mq::load(input + static_cast<long long>(y) * params.width + x) : 0.0f;
        }
        __syncthreads();

        const long long sample = plane / params.channels;
        const int channel = static_cast<int>(plane - sample * params.channels);
        for (int i = thread; i < MQ_TILE * MQ_TILE; i += threads) {
            const int x = out_x + i % MQ_TILE, y = out_y + i / MQ_TILE;
            if (x >= params.out_width || y >= params.out_height) continue;
            const int begin_x = x * MQ_DOWN - params.left, begin_y = y * MQ_DOWN - params.top;
            const int in_x = mq::divide_up(begin_x, MQ_UP), in_y = mq::divide_up(begin_y, MQ_UP);
            const int tap_x = in_x * MQ_UP - begin_x, tap_y = in_y * MQ_UP - begin_y;
            const float* row = shared + (in_y - first_y) * MQ_SPAN_X + (in_x - first_x);
            float sum = 0.0f;
#pragma unroll
            for (int v = 0; v < (MQ_TAPS_Y + MQ_UP - 1) / MQ_UP; ++v) {
                if (tap_y + v * MQ_UP >= MQ_TAPS_Y) continue;
#pragma unroll
                for (int u = 0; u < (MQ_TAPS_X + MQ_UP - 1) / MQ_UP; ++u) {
                    if (tap_x + u * MQ_UP >= MQ_TAPS_X) continue;
                    sum += filter[(tap_y + v * MQ_UP) * MQ_TAPS_X + tap_x + u * MQ_UP] *
                           row[v * MQ_SPAN_X + u];
                }
            }
            const long long pixel = static_cast<long long>(y) * params.out_width + x;
            const long long pixels = static_cast<long long>(params.out_height) * params.out_width;
            mq::store(params.output + plane * pixels + pixel,
                      mq::finished(params.finish, sum, sample, channel, pixel));
        }
    }
}
