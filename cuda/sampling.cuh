// Tri-plane sampling: the mean of three planes read bilinearly at a point.
//
// Planes lie channels-last, [3, height, width, MQ_CHANNELS], so that one texel of one plane
// is one run of memory (128 bytes at 32 float channels) read in 16-byte loads.
// Chan et al., "Efficient Geometry-aware 3D Generative Adversarial Networks", 2022, section 3.
#pragma once

#include "common.cuh"
#include "numbers.cuh"

namespace mq {

#if MQ_PLANE_HALF
typedef unsigned short plane_t;
#else
typedef float plane_t;
#endif

// The three planes of one identity and where they stand in space.
struct Planes {
    const plane_t* data;  // [3, height, width, MQ_CHANNELS], 16-byte aligned
    int height;
    int width;
    float scale;     // 2 / box_warp: world coordinates to -1 .. 1
    float axes[18];  // [3, 2, 3]: for each plane the rows that give its (width, height) coordinate
};

#if MQ_PLANE_HALF == 2
MQ_DEVICE float plane_value(unsigned short bits) { return bfloat_to_float(bits); }
#elif MQ_PLANE_HALF
MQ_DEVICE float plane_value(unsigned short bits) { return half_to_float(bits); }
#endif

// features += weight * one texel.
MQ_DEVICE void add_texel(float* features, const plane_t* texel, float weight) {
#if MQ_PLANE_HALF
    const uint4* words = reinterpret_cast<const uint4*>(texel);
#pragma unroll
    for (int i = 0; i < MQ_CHANNELS / 8; ++i) {
        const uint4 eight = __ldg(words + i);
        const unsigned int packed[4] = {eight.x, eight.y, eight.z, eight.w};
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            features[8 * i + 2 * j] += weight * plane_value(static_cast<unsigned short>(packed[j]));
            features[8 * i + 2 * j + 1] +=
                weight * plane_value(static_cast<unsigned short>(packed[j] >> 16));
        }
    }
#else
    const float4* words = reinterpret_cast<const float4*>(texel);
#pragma unroll
    for (int i = 0; i < MQ_CHANNELS / 4; ++i) {
        const float4 four = __ldg(words + i);
        features[4 * i] += weight * four.x;
        features[4 * i + 1] += weight * four.y;
        features[4 * i + 2] += weight * four.z;
        features[4 * i + 3] += weight * four.w;
    }
#endif
}

// Mean over the planes at world point (x, y, z) -> features[MQ_CHANNELS].
// Texel centres stand at half-integers (align_corners=False); outside a plane is zero.
MQ_DEVICE void sample_planes(const Planes& planes, float x, float y, float z, float* features) {
#pragma unroll
    for (int c = 0; c < MQ_CHANNELS; ++c) features[c] = 0.0f;
    x *= planes.scale;
    y *= planes.scale;
    z *= planes.scale;
    const float width = static_cast<float>(planes.width);
    const float height = static_cast<float>(planes.height);
#pragma unroll 1
    for (int plane = 0; plane < 3; ++plane) {
        const float* axes = planes.axes + 6 * plane;
        const float u = axes[0] * x + axes[1] * y + axes[2] * z;
        const float v = axes[3] * x + axes[4] * y + axes[5] * z;
        const float column = ((u + 1.0f) * width - 1.0f) * 0.5f;
        const float row = ((v + 1.0f) * height - 1.0f) * 0.5f;
        // Also false for NaN, so nothing below converts a huge or undefined number.
        if (!(column > -1.0f && column < width && row > -1.0f && row < height)) continue;
        const float left = floorf(column);
        const float top = floorf(row);
        const int x0 = static_cast<int>(left);
        const int y0 = static_cast<int>(top);
        const float right_share = column - left;
        const float lower_share = row - top;
        const plane_t* base =
            planes.data + static_cast<size_t>(plane) * planes.height * planes.width * MQ_CHANNELS;
#pragma unroll
        for (int corner = 0; corner < 4; ++corner) {
            const int cx = x0 + (corner & 1);
            const int cy = y0 + (corner >> 1);
            if (cx < 0 || cy < 0 || cx >= planes.width || cy >= planes.height) continue;
            const float weight = ((corner & 1) ? right_share : 1.0f - right_share) *
                                 ((corner >> 1) ? lower_share : 1.0f - lower_share);
            add_texel(features, base + (static_cast<size_t>(cy) * planes.width + cx) * MQ_CHANNELS,
                      weight);
        }
    }
#pragma unroll
    for (int c = 0; c < MQ_CHANNELS; ++c) features[c] *= 1.0f / 3.0f;
}

}  // namespace mq
