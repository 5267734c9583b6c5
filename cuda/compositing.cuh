// Volume rendering of one ray by a group of lanes: weights, importance samples, merging.
//
// All arrays lie in shared memory. Every function is called by all lanes of the group and ends
// with a group_sync, so that what it wrote may be read by any lane after it.
//
// Compositing is by midpoints (Barron et al., mip-NeRF; as EG3D uses it): an interval's density
// and colour are the means of its two ends. Its opacity is
//     alpha = 1 - exp(-softplus(sigma_mid - 1) * length),
// its transmittance the product of (1 - alpha + 1e-10) over the intervals before it.
#pragma once

#include "common.cuh"

namespace mq {

// Compositing weights of the count - 1 intervals between count samples.
// depths, sigmas [count] (ascending depths) -> weights [count - 1].
MQ_DEVICE void interval_weights(const float* depths, const float* sigmas, int count,
                                float* weights) {
    float carried = 1.0f;  // transmittance before this stretch of MQ_LANES intervals
    for (int base = 0; base < count - 1; base += MQ_LANES) {
        const int i = base + lane();
        const bool inside = i < count - 1;
        float alpha = 0.0f, through = 1.0f;
        if (inside) {
            const float sigma = (sigmas[i] + sigmas[i + 1]) * 0.5f;
            alpha = 1.0f - expf(-softplus(sigma - 1.0f) * (depths[i + 1] - depths[i]));
            through = 1.0f - alpha + 1e-10f;
        }
        const float scanned = group_scan_product(through);
        const float before = shuffle_up(scanned, 1);
        const float transmittance = lane() == 0 ? carried : carried * before;
        if (inside) weights[i] = alpha * transmittance;
        carried *= shuffle_from(scanned, MQ_LANES - 1);
    }
    group_sync();
}

// One bin's mass for importance sampling: coarse weights blurred by a maximum and a mean of two,
// plus 0.01 (kept from mip-NeRF), plus the 1e-5 that keeps the distribution from vanishing.
// weights [count]; index is within 0 .. count - 1.
MQ_DEVICE float importance_mass(const float* weights, int count, int index) {
    const float here = weights[index];
    const float left = index > 0 ? fmaxf(weights[index - 1], here) : here;
    const float right = index + 1 < count ? fmaxf(here, weights[index + 1]) : here;
    return (left + right) * 0.5f + 0.01f + 1e-5f;
}

// Cumulative distribution over the inner bins of coarse samples.
// weights [coarse - 1] -> cdf [coarse - 2], from 0 to 1.
MQ_DEVICE void importance_cdf(const float* weights, int coarse, float* cdf) {
    const int bins = coarse - 3;
    float carried = 0.0f;
    for (int base = 0; base < bins; base += MQ_LANES) {
        const int i = base + lane();
        const float mass = i < bins ? importance_mass(weights, coarse - 1, i + 1) : 0.0f;
        const float scanned = group_scan_sum(mass);
        if (i < bins) cdf[i + 1] = carried + scanned;
        carried += shuffle_from(scanned, MQ_LANES - 1);
    }
    if (lane() == 0) cdf[0] = 0.0f;
    group_sync();
    const float inverse = 1.0f / carried;
    for (int i = lane() + 1; i <= bins; i += MQ_LANES) cdf[i] *= inverse;
    group_sync();
}

// First index whose value is above `key`, in an ascending array.
MQ_DEVICE int upper_bound(const float* values, int count, float key) {
    int low = 0, high = count;
    while (low < high) {
        const int middle = (low + high) >> 1;
        if (values[middle] > key)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// First index whose value is not below `key`, in an ascending array.
MQ_DEVICE int lower_bound(const float* values, int count, float key) {
    int low = 0, high = count;
    while (low < high) {
        const int middle = (low + high) >> 1;
        if (values[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Inverts the distribution at linspace(0, 1, fine).
// cdf [coarse - 2], depths [coarse] -> samples [fine], ascending.
MQ_DEVICE void importance_samples(const float* cdf, const float* depths, int coarse, int fine,
                                  float* samples) {
    const int last = coarse - 3;
    float carried = depths[0];
    for (int base = 0; base < fine; base += MQ_LANES) {
        const int j = base + lane();
        float depth = carried;
        if (j < fine) {
            const float u = linspace01(j, fine);
            const int index = upper_bound(cdf, coarse - 2, u);
            const int below = index > 0 ? index - 1 : 0;
            const int above = index < last ? index : last;
            float mass = cdf[above] - cdf[below];
            if (mass < 1e-5f) mass = 1.0f;
            const float from = (depths[below] + depths[below + 1]) * 0.5f;
            const float to = (depths[above] + depths[above + 1]) * 0.5f;
            depth = from + (u - cdf[below]) / mass * (to - from);
        }
        // Rounding can put a sample one unit before its neighbour across a bin's edge; the
        // merge relies on ascending order.
        depth = fmaxf(group_scan_max(depth), carried);
        if (j < fine) samples[j] = depth;
        carried = shuffle_from(depth, MQ_LANES - 1);
    }
    group_sync();
}

// Merges two ascending runs, coarse first where depths are equal: every element finds its
// place by a binary search in the other run.
// depths, sigmas [coarse + fine], the fine run after the coarse one -> the same, sorted.
MQ_DEVICE void merge_samples(const float* depths, const float* sigmas, int coarse, int fine,
                             float* sorted_depths, float* sorted_sigmas) {
    for (int i = lane(); i < coarse + fine; i += MQ_LANES) {
        const float depth = depths[i];
        const int place = i < coarse ? i + lower_bound(depths + coarse, fine, depth)
                                     : i - coarse + upper_bound(depths, coarse, depth);
        sorted_depths[place] = depth;
        sorted_sigmas[place] = sigmas[i];
    }
    group_sync();
}

// What each sample contributes: sum_i w_i (c_i + c_i+1) / 2 = sum_j share_j c_j.
MQ_DEVICE float sample_share(const float* weights, int count, int index) {
    const float before = index > 0 ? weights[index - 1] : 0.0f;
    const float after = index + 1 < count ? weights[index] : 0.0f;
    return (before + after) * 0.5f;
}

}  // namespace mq
