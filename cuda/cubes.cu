// Marching cubes over a grid of samples, in two passes: how many vertices and triangles every sample
// has, and, once these are summed up, the vertices and triangles themselves.
//
// Lorensen and Cline, "Marching Cubes" (1987). A sample owns the three edges that leave it along x,
// y and z, and the cube whose lowest corner it is, so that each vertex is made once and triangles
// share it. Which edges a cube's triangles join is a table of 256 cases that
// engine/kernels/cubes.py derives; where a side of a cube is ambiguous, what is inside is kept apart, on
// both cubes of that side alike, so that surfaces are closed.
//
// A thread takes a sample. Bound by memory: 4 bytes read and 2 written for a sample in the first pass,
// 10 read in the second; corners come from the first-level cache.
// Launcher and reference: engine/kernels/cubes.py.
#include "common.cuh"

// Passed by value; engine/kernels/cubes.py holds the same layout.
struct CubesParams {
    const float* values;             // [nx, ny, nz], inside is above 0
    const signed char* table;        // [256, 16]: edges of triangles, -1 behind the last
    unsigned char* vertex_counts;    // [nx, ny, nz]: written by the first pass, read by the second
    unsigned char* triangle_counts;  // the same
    const int* vertex_ends;          // sums of the counts up to and with each sample
    const int* triangle_ends;
    float* vertices;                 // [all, 3] in units of samples
    int* triangles;                  // [all, 3]
    int nx, ny, nz;
};

namespace mq {

struct Place {
    int x, y, z;
};

MQ_DEVICE long long index_of(const CubesParams& p, const Place& at) {
    return (static_cast<long long>(at.x) * p.ny + at.y) * p.nz + at.z;
}

MQ_DEVICE Place place_of(const CubesParams& p, long long index) {
    const long long row = index / p.nz;
    Place at;
    at.z = static_cast<int>(index - row * p.nz);
    at.x = static_cast<int>(row / p.ny);
    at.y = static_cast<int>(row - static_cast<long long>(at.x) * p.ny);
    return at;
}

// Whether the edge that leaves a sample along an axis crosses the surface.
MQ_DEVICE bool crossed(const CubesParams& p, const Place& at, int axis) {
    Place next = at;
    if (axis == 0) next.x += 1;
    if (axis == 1) next.y += 1;
    if (axis == 2) next.z += 1;
    if (next.x >= p.nx || next.y >= p.ny || next.z >= p.nz) return false;
    return (p.values[index_of(p, at)] > 0.0f) != (p.values[index_of(p, next)] > 0.0f);
}

// Which corners of a sample's cube are inside: corner x + 2 y + 4 z is bit x + 2 y + 4 z. None where
// the cube would leave the grid.
MQ_DEVICE int cube_case(const CubesParams& p, const Place& at) {
    if (at.x + 1 >= p.nx || at.y + 1 >= p.ny || at.z + 1 >= p.nz) return 0;
    int bits = 0;
#pragma unroll
    for (int corner = 0; corner < 8; ++corner) {
        const Place there = {at.x + (corner & 1), at.y + (corner >> 1 & 1), at.z + (corner >> 2)};
        if (p.values[index_of(p, there)] > 0.0f) bits |= 1 << corner;
    }
    return bits;
}

// The vertex on an edge of the cube at `at`. Edge 4 a + b + 2 c runs along axis a from where the next
// two axes, in turn, are b and c.
MQ_DEVICE int vertex_of(const CubesParams& p, const Place& at, int edge) {
    const int axis = edge / 4, first = edge & 1, second = edge >> 1 & 1;
    Place owner = at;
    if (axis == 0) owner.y += first, owner.z += second;
    if (axis == 1) owner.z += first, owner.x += second;
    if (axis == 2) owner.x += first, owner.y += second;
    const long long index = index_of(p, owner);
    int number = p.vertex_ends[index] - p.vertex_counts[index];
    for (int before = 0; before < axis; ++before)
        if (crossed(p, owner, before)) ++number;
    return number;
}

}  // namespace mq

MQ_KERNEL void __launch_bounds__(256) cubes_count(const CubesParams params) {
    const long long all = static_cast<long long>(params.nx) * params.ny * params.nz;
    const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < all;
         i += stride) {
        const mq::Place at = mq::place_of(params, i);
        int vertices = 0, corners = 0;
        for (int axis = 0; axis < 3; ++axis) vertices += mq::crossed(params, at, axis);
        const signed char* row = params.table + 16 * mq::cube_case(params, at);
        while (corners < 15 && row[corners] >= 0) corners += 3;
        params.vertex_counts[i] = static_cast<unsigned char>(vertices);
        params.triangle_counts[i] = static_cast<unsigned char>(corners / 3);
    }
}

MQ_KERNEL void __launch_bounds__(256) cubes_emit(const CubesParams params) {
    const long long all = static_cast<long long>(params.nx) * params.ny * params.nz;
    const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < all;
         i += stride) {
        const int vertices = params.vertex_counts[i], triangles = params.triangle_counts[i];
        if (vertices == 0 && triangles == 0) continue;
        const mq::Place at = mq::place_of(params, i);
        long long number = params.vertex_ends[i] - vertices;
        for (int axis = 0; axis < 3; ++axis) {
            if (!mq::crossed(params, at, axis)) continue;
            mq::Place next = at;
            if (axis == 0) next.x += 1;
            if (axis == 1) next.y += 1;
            if (axis == 2) next.z += 1;
            const float from = params.values[i], to = params.values[mq::index_of(params, next)];
            const float share = from / (from - to);
            float* vertex = params.vertices + 3 * number++;
            vertex[0] = static_cast<float>(at.x) + (axis == 0 ? share : 0.0f);
            vertex[1] = static_cast<float>(at.y) + (axis == 1 ? share : 0.0f);
            vertex[2] = static_cast<float>(at.z) + (axis == 2 ? share : 0.0f);
        }
        if (triangles == 0) continue;
        const signed char* row = params.table + 16 * mq::cube_case(params, at);
        int* out = params.triangles + 3 * static_cast<long long>(params.triangle_ends[i] - triangles);
        for (int corner = 0; corner < 3 * triangles; ++corner)
            out[corner] = mq::vertex_of(params, at, row[corner]);
    }
}
