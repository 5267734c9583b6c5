// Noise, bias, activation and limit of a picture's channels in one pass, in place or not.
//
// Reads and writes every value once: bound by memory, 8 bytes a value in 32 bits, where torch's five
// operations move up to 40. A block takes MQ_ITEMS values of one plane at a time.
// Launcher and reference: engine/kernels/pictures.py.
#include "finish.cuh"

#ifndef MQ_ITEMS
#define MQ_ITEMS 2048
#endif

struct ActivateParams {
    const mq::number_t* input;  // [samples, channels, pixels]
    mq::number_t* output;       // the same, or `input` itself
    mq::Finish finish;
    long long planes;           // samples * channels
    long long pixels;
    int channels;
};

MQ_KERNEL void __launch_bounds__(256) activate(const ActivateParams params) {
    const long long parts = (params.pixels + MQ_ITEMS - 1) / MQ_ITEMS;
    for (long long item = blockIdx.x; item < params.planes * parts; item += gridDim.x) {
        const long long plane = item / parts;
        const long long sample = plane / params.channels;
        const int channel = static_cast<int>(plane - sample * params.channels);
        const long long first = (item - plane * parts) * MQ_ITEMS;
        const long long last = first + MQ_ITEMS < params.pixels ? first + MQ_ITEMS : params.pixels;
        for (long long pixel = first + threadIdx.x; pixel < last; pixel += blockDim.x) {
            const long long at = plane * params.pixels + pixel;
            mq::store(params.output + at, mq::finished(params.finish, mq::load(params.input + at),
                                                       sample, channel, pixel));
        }
    }
}
