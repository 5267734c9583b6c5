// Rays through a field of one identity, composited before its last layers: what leaves the kernel is one sum
// of activations a ray, no sample.
//
// The layers of StyleNeRF that follow the inner ones are linear, so that they change places with the sum along
// the ray: Gu et al., "StyleNeRF" (2022), section 3.2, "early aggregation". The quadrature, and where the second
// samples lie, are those of Mildenhall et al., "NeRF" (2020), sections 4 and 5.2; what is behind a head
// whose rays stay open follows Zhang et al., "NeRF++" (2020).
//
// A block takes as many whole rays as have MQ_ROWS samples in one pass, all samples of a pass through all layers
// (points.cuh). The first pass's activations wait in shared memory for the second, so that nothing is
// evaluated twice. Then a warp takes a ray: it draws the second samples, merges both by their places, and weighs
// them.
//
// Operations: those of field.cu for each sample. Device memory sees 4 (MQ_WIDTH + 4) bytes a ray in place of
// 4 MQ_WIDTH a sample, written and read.
#define MQ_LANES 32  // lanes that work on one ray

#include "points.cuh"

// Passed by value; engine/kernels/rays.py holds the same layout.
struct RaysParams {
    const float* points;       // [count, samples, MQ_INPUTS], or null: they lie along the rays
    const float* origin;       // [3]: of all rays
    const float* directions;   // [count, 3]
    const float* lengths;      // [count] factors of densities, or null for 1
    const float* even;         // [samples] places of the first samples, ascending, the same on all rays
    const float* frequencies;  // these six: see field.cu
    const float* first;
    const float* layers_packed;
    const float* biases;
    const float* density;
    float* out_hidden;         // [count, MQ_WIDTH] sums of weighted activations
    float* out_rays;           // [count, 4]: weights of all samples and of all but the last added up; places of all but
                               // the last added up with their weights; light that passes all but the last
    float* out_drawn;          // [count, fine] places of the second samples, or null
    long long count;
    int samples;               // of the first pass, at most MQ_ROWS
    int fine;                  // of the second, at most MQ_ROWS; 0 for none
    int rays;                  // of a block: rays * max(samples, fine) <= MQ_ROWS
    int stretched;             // 1: steps are measured along the ray, 0: between places
    int closed;                // 1: the last sample counts for nothing, 0: it is opaque
    int layers;
    float near;                // a place p lies at near (1 - p) + far p
    float far;
    float slope;
};

namespace mq {

MQ_DEVICE float along(const RaysParams& params, float place) {
    return params.near * (1.0f - place) + params.far * place;
}

// Weights of `count` samples at ascending places; the light that passes all but the last, in all lanes.
MQ_DEVICE float ray_weights(const RaysParams& params, const float* places, const float* solid,
                            int count, float* weights) {
    float carried = 1.0f, passed = 1.0f;
    for (int base = 0; base < count; base += 32) {
        const int i = base + lane();
        float alpha = 0.0f;
        if (i < count - 1) {
            const float step = params.stretched
                                   ? along(params, places[i + 1]) - along(params, places[i])
                                   : places[i + 1] - places[i];
            alpha = 1.0f - expf(-solid[i] * step);
        } else if (i == count - 1 && !params.closed) {
            alpha = 1.0f;
        }
        const float scanned = group_scan_product(i < count ? 1.0f - alpha + 1e-10f : 1.0f);
        const float before = shuffle_up(scanned, 1);
        const float light = lane() == 0 ? carried : carried * before;
        if (i < count) weights[i] = alpha * light;
        if (count - 1 - base < 32) passed = shuffle_from(light, count - 1 - base);
        carried *= shuffle_from(scanned, 31);
    }
    group_sync();
    return passed;
}

// How many of an ascending array's values are below `key`, or not above it.
MQ_DEVICE int below(const float* values, int count, float key, bool or_equal) {
    int low = 0, high = count;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (values[middle] < key || (or_equal && values[middle] == key))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Places drawn by the first samples' weights [samples]: bins between the middles of neighbours, without the
// first and the last sample, inverted at linspace(0, 1, fine). cdf [samples - 1] is scratch.
MQ_DEVICE void draw(const RaysParams& params, const float* places, const float* weights,
                    float* cdf, float* drawn) {
    const int bins = params.samples - 2;
    float carried = 0.0f;
    for (int base = 0; base < bins; base += 32) {
        const int i = base + lane();
        const float scanned = group_scan_sum(i < bins ? weights[i + 1] + 1e-5f : 0.0f);
        if (i < bins) cdf[i + 1] = carried + scanned;
        carried += shuffle_from(scanned, 31);
    }
    if (lane() == 0) cdf[0] = 0.0f;
    group_sync();
    // The last sum itself, not `carried`, which adds in another order: it must become one exactly.
    const float all = cdf[bins];
    group_sync();
    for (int i = 1 + lane(); i <= bins; i += 32) cdf[i] /= all;
    group_sync();
    float last = places[0];
    for (int base = 0; base < params.fine; base += 32) {
        const int j = base + lane();
        float place = last;
        if (j < params.fine) {
            const float u = linspace01(j, params.fine);
            const int index = below(cdf, bins + 1, u, false);
            const int from = index > 0 ? index - 1 : 0, to = index < bins ? index : bins;
            float mass = cdf[to] - cdf[from];
            if (mass < 1e-5f) mass = 1.0f;
            const float left = 0.5f * (places[from] + places[from + 1]);
            const float right = 0.5f * (places[to] + places[to + 1]);
            place = left + (u - cdf[from]) / mass * (right - left);
        }
        // Rounding must not put one before its neighbour: the merge relies on the order.
        place = fmaxf(group_scan_max(place), last);
        if (j < params.fine) drawn[j] = place;
        last = shuffle_from(place, 31);
    }
    group_sync();
}

// What a ray's weights add up to, see out_rays.
MQ_DEVICE void write_ray(const RaysParams& params, const float* places, const float* weights,
                         int count, float passed, long long ray) {
    float front = 0.0f, moved = 0.0f;
    for (int i = lane(); i < count - 1; i += 32) {
        front += weights[i];
        moved += weights[i] * places[i];
    }
    front = group_sum(front);
    moved = group_sum(moved);
    if (lane() == 0) {
        params.out_rays[4 * ray] = front + weights[count - 1];
        params.out_rays[4 * ray + 1] = front;
        params.out_rays[4 * ray + 2] = moved;
        params.out_rays[4 * ray + 3] = passed;
    }
}

}  // namespace mq

// Blocks of 256 threads. Dynamic shared memory, floats: MQ_ROWS * (MQ_STRIDE + MQ_INPUTS + 13), and
// MQ_ROWS * MQ_STRIDE more with a second pass.
MQ_KERNEL void __launch_bounds__(MQ_WARPS * 32, 1) field_rays(const RaysParams params) {
    extern __shared__ __align__(16) float shared[];
    float* x = shared;
    float* kept = x + MQ_ROWS * MQ_STRIDE;  // the first pass's activations
    float* points = params.fine > 0 ? kept + MQ_ROWS * MQ_STRIDE : kept;
    // Of the samples as they were evaluated, those of the second pass from MQ_ROWS on:
    float* places = points + MQ_ROWS * MQ_INPUTS;
    float* solid = places + 2 * MQ_ROWS;
    float* weights = solid + 2 * MQ_ROWS;
    // Of each ray's samples in their order:
    float* sorted_places = weights + 2 * MQ_ROWS;
    float* sorted_solid = sorted_places + 2 * MQ_ROWS;
    float* sorted_weights = sorted_solid + 2 * MQ_ROWS;
    float* cdf = sorted_weights + 2 * MQ_ROWS;
    const int samples = params.samples, fine = params.fine, both = samples + fine;
    const int thread = static_cast<int>(threadIdx.x), warp = thread / 32;
    const int own = thread / (MQ_WARPS * 32 / MQ_ROWS);  // the row whose dot product it takes part in
    const bool writes = thread % (MQ_WARPS * 32 / MQ_ROWS) == 0;
    const long long stride = static_cast<long long>(gridDim.x) * params.rays;
    for (long long base = static_cast<long long>(blockIdx.x) * params.rays; base < params.count;
         base += stride) {
        const int here = params.count - base < params.rays ? static_cast<int>(params.count - base)
                                                           : params.rays;
        for (int pass = 0; pass < (fine > 0 ? 2 : 1); ++pass) {
            const int each = pass ? fine : samples, used = here * each;
            __syncthreads();  // nobody reads what was there before
            if (pass == 0)
                for (int i = thread; i < used; i += MQ_WARPS * 32)
                    places[i] = __ldg(params.even + i % samples);
            __syncthreads();
            for (int i = thread; i < MQ_ROWS * MQ_INPUTS; i += MQ_WARPS * 32) {
                const int row = i / MQ_INPUTS, axis = i % MQ_INPUTS;
                float value = 0.0f;
                if (row < used && params.points != nullptr)
                    value = params.points[(base * samples + row) * MQ_INPUTS + axis];
                else if (row < used && axis < 3)
                    value = params.origin[axis] + mq::along(params, places[pass * MQ_ROWS + row]) *
                                                      params.directions[(base + row / each) * 3 + axis];
                points[i] = value;
            }
            __syncthreads();
            mq::inner_layers(params, points, x);
            float density = mq::row_dot(x + own * MQ_STRIDE, params.density, MQ_WIDTH);
            if (writes && own < used) {
                const float factor =
                    params.lengths != nullptr ? params.lengths[base + own / each] : 1.0f;
                // Written so that what is not a number stays so, and shows.
                solid[pass * MQ_ROWS + own] = (density < 0.0f ? 0.0f : density) * factor;
            }
            if (pass == 0 && fine > 0)
                for (int i = thread; i < used * MQ_WIDTH; i += MQ_WARPS * 32) {
                    const int at = i / MQ_WIDTH * MQ_STRIDE + i % MQ_WIDTH;
                    kept[at] = x[at];
                }
            __syncthreads();
            for (int ray = warp; ray < here; ray += MQ_WARPS) {
                float* first_places = places + ray * samples;
                float* first_weights = weights + ray * samples;
                if (pass == 0) {
                    const float passed = mq::ray_weights(params, first_places, solid + ray * samples,
                                                         samples, first_weights);
                    if (fine > 0) {
                        float* drawn = places + MQ_ROWS + ray * fine;
                        mq::draw(params, first_places, first_weights, cdf + ray * samples, drawn);
                        if (params.out_drawn != nullptr)
                            for (int i = mq::lane(); i < fine; i += 32)
                                params.out_drawn[(base + ray) * fine + i] = drawn[i];
                    } else {
                        mq::write_ray(params, first_places, first_weights, samples, passed, base + ray);
                    }
                    continue;
                }
                const float* drawn = places + MQ_ROWS + ray * fine;
                float* ray_places = sorted_places + ray * both;
                float* ray_solid = sorted_solid + ray * both;
                float* ray_weights = sorted_weights + ray * both;
                // Where places are equal, the first pass's come first.
                for (int i = mq::lane(); i < both; i += 32) {
                    const bool second = i >= samples;
                    const int j = second ? i - samples : i;
                    const float place = second ? drawn[j] : first_places[j];
                    const int to = j + (second ? mq::below(first_places, samples, place, true)
                                               : mq::below(drawn, fine, place, false));
                    const int from = second ? MQ_ROWS + ray * fine + j : ray * samples + j;
                    ray_places[to] = place;
                    ray_solid[to] = solid[from];
                    weights[from] = static_cast<float>(to);  // for now
                }
                mq::group_sync();
                const float passed =
                    mq::ray_weights(params, ray_places, ray_solid, both, ray_weights);
                mq::write_ray(params, ray_places, ray_weights, both, passed, base + ray);
                for (int i = mq::lane(); i < both; i += 32) {
                    const int from = i >= samples ? MQ_ROWS + ray * fine + i - samples
                                                  : ray * samples + i;
                    weights[from] = ray_weights[static_cast<int>(weights[from])];
                }
            }
        }
        __syncthreads();
        const float* early = fine > 0 ? kept : x;
        for (int i = thread; i < here * MQ_WIDTH; i += MQ_WARPS * 32) {
            const int ray = i / MQ_WIDTH, column = i % MQ_WIDTH;
            float sum = 0.0f;
            for (int s = ray * samples; s < (ray + 1) * samples; ++s)
                sum += weights[s] * early[s * MQ_STRIDE + column];
            for (int s = ray * fine; s < (ray + 1) * fine; ++s)
                sum += weights[MQ_ROWS + s] * x[s * MQ_STRIDE + column];
            params.out_hidden[(base + ray) * MQ_WIDTH + column] = sum;
        }
    }
}
