// The tri-plane decoder: MQ_CHANNELS -> MQ_HIDDEN, softplus -> density and MQ_FEATURES.
//
// One thread decodes one point; the weights stand in shared memory, where all lanes of a warp
// read the same word at the same time (a broadcast). 2 * MQ_CHANNELS * MQ_HIDDEN floating
// point operations for the hidden layer, 2 * MQ_HIDDEN for the density and
// 2 * MQ_HIDDEN * MQ_FEATURES for the features.
#pragma once

#include "common.cuh"

namespace mq {

// Offsets, in floats, into the packed weights (packed by engine/kernels/triplane.py).
// Learning-rate gains are folded in.
struct Weights {
    static const int hidden = 0;                                            // [HIDDEN, CHANNELS]
    static const int feature = MQ_HIDDEN * MQ_CHANNELS;                     // [HIDDEN, FEATURES]
    static const int hidden_bias = feature + MQ_HIDDEN * MQ_FEATURES;       // [HIDDEN]
    static const int density = hidden_bias + MQ_HIDDEN;                     // [HIDDEN]
    static const int feature_bias = density + MQ_HIDDEN;                    // [FEATURES]
    static const int density_bias = feature_bias + MQ_FEATURES;             // [1], padded to 4
    static const int count = density_bias + 4;
};

// Copies the packed weights to shared memory with all threads of the block.
MQ_DEVICE void load_weights(float* shared, const float* packed) {
    const float4* from = reinterpret_cast<const float4*>(packed);
    float4* to = reinterpret_cast<float4*>(shared);
    for (int i = static_cast<int>(threadIdx.x); i < Weights::count / 4;
         i += static_cast<int>(blockDim.x))
        to[i] = __ldg(from + i);
    __syncthreads();
}

// One hidden unit after its activation.
MQ_DEVICE float hidden_unit(const float* weights, int unit, const float* features) {
    const float4* row = reinterpret_cast<const float4*>(weights + Weights::hidden) +
                        unit * (MQ_CHANNELS / 4);
    // Four sums side by side, so that each waits for an addition only every fourth step.
    float a = weights[Weights::hidden_bias + unit], b = 0.0f, c = 0.0f, d = 0.0f;
#pragma unroll
    for (int i = 0; i < MQ_CHANNELS / 4; ++i) {
        const float4 w = row[i];
        a += w.x * features[4 * i];
        b += w.y * features[4 * i + 1];
        c += w.z * features[4 * i + 2];
        d += w.w * features[4 * i + 3];
    }
    return softplus_hidden((a + b) + (c + d));
}

// Raw density of a point from its plane features. Summed in four parts: less rounding than in
// one run, and four units at a time keep the arithmetic busy.
MQ_DEVICE float decode_density(const float* weights, const float* features) {
    float parts[4] = {weights[Weights::density_bias], 0.0f, 0.0f, 0.0f};
#pragma unroll 1
    for (int unit = 0; unit < MQ_HIDDEN; unit += 4) {
#pragma unroll
        for (int i = 0; i < 4; ++i)
            parts[i] += weights[Weights::density + unit + i] *
                        hidden_unit(weights, unit + i, features);
    }
    return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

// Raw density, and the features before their sigmoid -> output[MQ_FEATURES].
MQ_DEVICE float decode_all(const float* weights, const float* features, float* output) {
    float parts[4] = {weights[Weights::density_bias], 0.0f, 0.0f, 0.0f};
#pragma unroll
    for (int k = 0; k < MQ_FEATURES; ++k) output[k] = weights[Weights::feature_bias + k];
#pragma unroll 1
    for (int unit = 0; unit < MQ_HIDDEN; unit += 4) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const float value = hidden_unit(weights, unit + i, features);
            parts[i] += weights[Weights::density + unit + i] * value;
            const float4* row = reinterpret_cast<const float4*>(weights + Weights::feature) +
                                (unit + i) * (MQ_FEATURES / 4);
#pragma unroll
            for (int k = 0; k < MQ_FEATURES / 4; ++k) {
                const float4 w = row[k];
                output[4 * k] += w.x * value;
                output[4 * k + 1] += w.y * value;
                output[4 * k + 2] += w.z * value;
                output[4 * k + 3] += w.w * value;
            }
        }
    }
    return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

// The range of a feature: a sigmoid widened by a thousandth on both sides (as in mip-NeRF).
MQ_DEVICE float feature_value(float raw) { return sigmoid(raw) * 1.002f - 0.001f; }

}  // namespace mq
