// Tri-plane evaluation at free points: raw density, and optionally the colour features.
//
// One thread a point, or with MQ_TENSOR a lane, whose warp decodes 32 of them together. Planes are read through the
// read-only cache, the decoder's weights from shared memory. Launcher and reference: engine/kernels/triplane.py.
#include "decoder.cuh"
#if MQ_TENSOR
#include "decoder_tensor.cuh"
#endif
#include "sampling.cuh"

// Passed by value; engine/kernels/triplane.py holds the same layout.
struct TriplaneParams {
    mq::Planes planes;
    const float* weights;  // packed, mq::Weights
    const float* points;   // [count, 3] world coordinates
    float* density;        // [count] raw
    float* features;       // [count, MQ_FEATURES], or null: density only
    long long count;
};

MQ_KERNEL void __launch_bounds__(128) triplane_eval(const TriplaneParams params) {
    extern __shared__ __align__(16) float shared[];
    mq::load_weights(shared, params.weights);
    const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
#if MQ_TENSOR
    const int lane = static_cast<int>(threadIdx.x) & 31;
    float* stage = shared + mq::Weights::count + threadIdx.x / 32 * mq::Stage::count;
    for (long long base = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x - lane;
         base < params.count; base += stride) {
        // Lanes behind the last point decode it, too, and keep it to themselves.
        const long long i = base + lane < params.count ? base + lane : params.count - 1;
        const bool writes = base + lane < params.count;
#else
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
         i < params.count; i += stride) {
#endif
        const float* point = params.points + 3 * i;
        float sampled[MQ_CHANNELS];
        mq::sample_planes(params.planes, point[0], point[1], point[2], sampled);
        float output[MQ_FEATURES];
#if MQ_TENSOR
        const float density = params.features == nullptr
                                  ? mq::decode_warp<false>(shared, stage, sampled, nullptr)
                                  : mq::decode_warp<true>(shared, stage, sampled, output);
        if (!writes) continue;
        params.density[i] = density;
        if (params.features == nullptr) continue;
#else
        if (params.features == nullptr) {
            params.density[i] = mq::decode_density(shared, sampled);
            continue;
        }
        params.density[i] = mq::decode_all(shared, sampled, output);
#endif
        float4* row = reinterpret_cast<float4*>(params.features + i * MQ_FEATURES);
#pragma unroll
        for (int k = 0; k < MQ_FEATURES / 4; ++k) {
            float4 four;
            four.x = mq::feature_value(output[4 * k]);
            four.y = mq::feature_value(output[4 * k + 1]);
            four.z = mq::feature_value(output[4 * k + 2]);
            four.w = mq::feature_value(output[4 * k + 3]);
            row[k] = four;
        }
    }
}
