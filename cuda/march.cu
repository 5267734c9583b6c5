// Rendering of rays through a tri-plane field: coarse samples, importance samples, compositing.
//
// MQ_LANES neighbouring lanes take one ray; neighbouring samples of a ray read neighbouring
// texels, so most plane reads hit the first-level cache. The samples of a ray live in shared
// memory. Densities of all samples come first; the compositing weights then tell what share
// of the picture each sample has, and only samples with a share are decoded to features, so
// empty space and what lies behind the surface cost a density each and nothing more.
// Launcher and reference: engine/kernels/march.py.
#include "compositing.cuh"
#include "decoder.cuh"
#if MQ_TENSOR
#include "decoder_tensor.cuh"
static_assert(MQ_LANES == 32, "MQ_TENSOR: the lanes of a warp work on one ray");
#endif
#include "sampling.cuh"

// Passed by value; engine/kernels/march.py holds the same layout.
struct MarchParams {
    mq::Planes planes;
    const float* weights;     // packed, mq::Weights
    const float* origins;     // [rays, 3] world coordinates
    const float* directions;  // [rays, 3] unit vectors
    const float* near;        // [rays] distance of the first sample
    const float* far;         // [rays]
    float* features;          // [rays, MQ_FEATURES] sum of weight * feature
    float* depth;             // [rays] sum of weight * distance / sum of weight; NaN if that is 0
    float* opacity;           // [rays] sum of weights
    float* nearest;           // [rays] distance of the first sample after merging
    float* farthest;          // [rays] and of the last
    long long rays;
    int coarse;          // samples per ray, at least 4
    int fine;            // importance samples per ray, may be 0
    int disparity;       // 1: coarse samples even in 1 / distance
    float jitter;        // where in its stratum a coarse sample stands; 0.5 is the middle
    float least_share;   // samples whose share is at or under this are not decoded
};

namespace mq {

// Distance of a ray's coarse sample: start + (i + jitter) delta, delta = (far - near) / (D - 1).
MQ_DEVICE float coarse_depth(const MarchParams& params, float near, float far, int index) {
    const float steps = static_cast<float>(params.coarse - 1);
    const float s = static_cast<float>(index) / steps + params.jitter / steps;
    if (params.disparity) return 1.0f / ((1.0f - s) / near + s / far);
    return near + s * (far - near);
}

struct Ray {
    float origin[3];
    float direction[3];
};

MQ_DEVICE void sample_ray(const Planes& planes, const Ray& ray, float distance, float* sampled) {
    sample_planes(planes, ray.origin[0] + distance * ray.direction[0],
                  ray.origin[1] + distance * ray.direction[1],
                  ray.origin[2] + distance * ray.direction[2], sampled);
}

// Densities at depths [first .. last) of one ray. `stage` is the warp's, for tensor cores.
MQ_DEVICE void ray_densities(const Planes& planes, const float* weights, float* stage,
                             const Ray& ray, const float* depths, int first, int last,
                             float* sigmas) {
#if MQ_TENSOR
    for (int base = first; base < last; base += MQ_LANES) {
        const int i = base + lane();
        float sampled[MQ_CHANNELS];
        // Lanes behind the last sample decode it, too, and keep it to themselves.
        sample_ray(planes, ray, depths[i < last ? i : last - 1], sampled);
        const float density = decode_warp<false>(weights, stage, sampled, nullptr);
        if (i < last) sigmas[i] = density;
    }
#else
    (void)stage;
    for (int i = first + lane(); i < last; i += MQ_LANES) {
        float sampled[MQ_CHANNELS];
        sample_ray(planes, ray, depths[i], sampled);
        sigmas[i] = decode_density(weights, sampled);
    }
#endif
    group_sync();
}

}  // namespace mq

// Dynamic shared memory: mq::Weights::count floats, then 4 * (coarse + fine) floats a ray, then, for tensor cores,
// mq::Stage::count floats a warp.
MQ_KERNEL void __launch_bounds__(128, MQ_MIN_BLOCKS) march_rays(const MarchParams params) {
    extern __shared__ __align__(16) float shared[];
    mq::load_weights(shared, params.weights);
    const int total = params.coarse + params.fine;
    const int rays_per_block = static_cast<int>(blockDim.x) / MQ_LANES;
    const int slot = static_cast<int>(threadIdx.x) / MQ_LANES;
    // Samples as they are made (coarse, then fine), and merged.
    float* made_depths = shared + mq::Weights::count + static_cast<size_t>(slot) * 4 * total;
    float* made_sigmas = made_depths + total;
    float* depths = made_sigmas + total;
    float* sigmas = depths + total;
#if MQ_TENSOR
    float* stage = shared + mq::Weights::count + static_cast<size_t>(rays_per_block) * 4 * total +
                   slot * mq::Stage::count;
#else
    float* stage = nullptr;
#endif

    const long long stride = static_cast<long long>(gridDim.x) * rays_per_block;
    for (long long index = static_cast<long long>(blockIdx.x) * rays_per_block + slot;
         index < params.rays; index += stride) {
        mq::Ray ray;
        for (int axis = 0; axis < 3; ++axis) {
            ray.origin[axis] = params.origins[3 * index + axis];
            ray.direction[axis] = params.directions[3 * index + axis];
        }
        const float near = params.near[index];
        const float far = params.far[index];

        for (int i = mq::lane(); i < params.coarse; i += MQ_LANES)
            made_depths[i] = mq::coarse_depth(params, near, far, i);
        mq::group_sync();
        mq::ray_densities(params.planes, shared, stage, ray, made_depths, 0, params.coarse,
                          made_sigmas);

        if (params.fine > 0) {
            float* coarse_weights = sigmas;  // free until the merge
            float* cdf = depths;
            mq::interval_weights(made_depths, made_sigmas, params.coarse, coarse_weights);
            mq::importance_cdf(coarse_weights, params.coarse, cdf);
            mq::importance_samples(cdf, made_depths, params.coarse, params.fine,
                                   made_depths + params.coarse);
            mq::ray_densities(params.planes, shared, stage, ray, made_depths, params.coarse, total,
                              made_sigmas);
        }
        mq::merge_samples(made_depths, made_sigmas, params.coarse, params.fine, depths, sigmas);

        float* interval = made_sigmas;  // compositing weights; the unsorted samples are done with
        mq::interval_weights(depths, sigmas, total, interval);
        float weight_sum = 0.0f, depth_sum = 0.0f;
        for (int i = mq::lane(); i < total - 1; i += MQ_LANES) {
            weight_sum += interval[i];
            depth_sum += interval[i] * ((depths[i] + depths[i + 1]) * 0.5f);
        }

        // The samples worth decoding, gathered so that no lane waits on an empty one.
        float* share = made_depths;
        int* chosen = reinterpret_cast<int*>(sigmas);
        int count = 0;
        for (int base = 0; base < total; base += MQ_LANES) {
            const int i = base + mq::lane();
            const float value = i < total ? mq::sample_share(interval, total, i) : 0.0f;
            // Written so that NaN is decoded and shows.
            const bool wanted = i < total && !(value <= params.least_share);
            // Counts are small, so float sums of them are exact.
            const float scanned = mq::group_scan_sum(wanted ? 1.0f : 0.0f);
            if (wanted) {
                const int place = count + static_cast<int>(scanned) - 1;
                share[place] = value;
                chosen[place] = i;
            }
            count += static_cast<int>(mq::shuffle_from(scanned, MQ_LANES - 1));
        }
        mq::group_sync();

        float sum[MQ_FEATURES];
#pragma unroll
        for (int k = 0; k < MQ_FEATURES; ++k) sum[k] = 0.0f;
#if MQ_TENSOR
        for (int base = 0; base < count; base += MQ_LANES) {
            const int n = base + mq::lane();
#else
        for (int n = mq::lane(); n < count; n += MQ_LANES) {
#endif
            float sampled[MQ_CHANNELS];
            float output[MQ_FEATURES];
#if MQ_TENSOR
            mq::sample_ray(params.planes, ray, depths[chosen[n < count ? n : count - 1]], sampled);
            mq::decode_warp<true>(shared, stage, sampled, output);
            if (n >= count) continue;
#else
            mq::sample_ray(params.planes, ray, depths[chosen[n]], sampled);
            mq::decode_all(shared, sampled, output);
#endif
#pragma unroll
            for (int k = 0; k < MQ_FEATURES; ++k) sum[k] += share[n] * mq::feature_value(output[k]);
        }
        // Every lane ends with every sum; lane k % MQ_LANES writes feature k.
#pragma unroll
        for (int k = 0; k < MQ_FEATURES; ++k) {
            const float value = mq::group_sum(sum[k]);
            if (mq::lane() == k % MQ_LANES) params.features[index * MQ_FEATURES + k] = value;
        }
        weight_sum = mq::group_sum(weight_sum);
        depth_sum = mq::group_sum(depth_sum);
        if (mq::lane() == 0) {
            params.opacity[index] = weight_sum;
            params.depth[index] = depth_sum / weight_sum;
            params.nearest[index] = depths[0];
            params.farthest[index] = depths[total - 1];
        }
        mq::group_sync();  // the next ray writes over what lane 0 read
    }
}
