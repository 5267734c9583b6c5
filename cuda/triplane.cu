// Tri-plane evaluation at free points: raw density, and optionally the colour features.
//
// One thread a point. Planes are read through the read-only cache, the decoder's weights from
// shared memory. Launcher and reference: engine/kernels/triplane.py.
#include "decoder.cuh"
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
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
         i < params.count; i += stride) {
        const float* point = params.points + 3 * i;
        float sampled[MQ_CHANNELS];
        mq::sample_planes(params.planes, point[0], point[1], point[2], sampled);
        if (params.features == nullptr) {
            params.density[i] = mq::decode_density(shared, sampled);
            continue;
        }
        float output[MQ_FEATURES];
        params.density[i] = mq::decode_all(shared, sampled, output);
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
