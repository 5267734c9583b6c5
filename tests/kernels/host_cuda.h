// The few names of CUDA that cuda/*.cu use, for an ordinary C++ compiler: the kernels' own
// sources run on a CPU, one thread for each CUDA thread, so that their arithmetic, their
// indexing and their synchronisation are tested where there is no GPU.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <barrier>
#include <memory>
#include <thread>
#include <vector>

#define MQ_HOST 1
#define MQ_DEVICE inline
#define MQ_KERNEL extern "C"
#define __launch_bounds__(...)

struct float4 {
    float x, y, z, w;
};
struct uint4 {
    unsigned int x, y, z, w;
};
struct Index {
    unsigned int x = 0, y = 0, z = 0;
};
inline thread_local Index threadIdx, blockIdx, blockDim, gridDim;

template <class T>
T __ldg(const T* pointer) {
    return *pointer;
}

// What the threads of one block share.
struct HostBlock {
    HostBlock(unsigned int threads, size_t shared_floats, int lanes)
        : all(threads), exchange(threads), shared(shared_floats, nanf("")) {
        for (unsigned int i = 0; i < threads / lanes; ++i)
            groups.push_back(std::make_unique<std::barrier<>>(lanes));
    }
    std::barrier<> all;
    std::vector<std::unique_ptr<std::barrier<>>> groups;
    std::vector<float> exchange;
    std::vector<float> shared;
};
inline thread_local HostBlock* host_block = nullptr;

#define MQ_SHARED(name) float* name = host_block->shared.data()
#define MQ_BLOCK_SYNC() host_block->all.arrive_and_wait()

#ifndef MQ_LANES
#error "MQ_LANES must be set on the command line"
#endif

namespace mq {

inline void group_sync() { host_block->groups[threadIdx.x / MQ_LANES]->arrive_and_wait(); }

// The value of the lane `source` of this group; its own where there is no such lane.
inline float exchange(float value, int source) {
    const int lane = static_cast<int>(threadIdx.x) & (MQ_LANES - 1);
    float* slots = host_block->exchange.data() + (threadIdx.x - lane);
    slots[lane] = value;
    group_sync();
    const float result = source >= 0 && source < MQ_LANES ? slots[source] : value;
    group_sync();
    return result;
}
inline float shuffle_xor(float value, int offset) {
    return exchange(value, (static_cast<int>(threadIdx.x) & (MQ_LANES - 1)) ^ offset);
}
inline float shuffle_up(float value, int offset) {
    return exchange(value, (static_cast<int>(threadIdx.x) & (MQ_LANES - 1)) - offset);
}
inline float shuffle_from(float value, int source) { return exchange(value, source); }

inline float half_to_float(unsigned short bits) {
    const unsigned int sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 31u;
    const unsigned int fraction = bits & 1023u;
    if (exponent == 0) return (sign ? -1.0f : 1.0f) * static_cast<float>(fraction) * 0x1p-24f;
    const unsigned int word =
        sign | ((exponent == 31 ? 255u : exponent + 112u) << 23) | (fraction << 13);
    float value;
    memcpy(&value, &word, 4);
    return value;
}

}  // namespace mq

// Runs a kernel's whole grid, block after block.
template <class Params>
void run_grid(void (*kernel)(Params), const void* parameters, unsigned int blocks,
              unsigned int threads, size_t shared_floats) {
    Params params;
    memcpy(&params, parameters, sizeof(Params));
    for (unsigned int block = 0; block < blocks; ++block) {
        HostBlock state(threads, shared_floats, MQ_LANES);
        std::vector<std::thread> workers;
        for (unsigned int i = 0; i < threads; ++i)
            workers.emplace_back([&, i] {
                host_block = &state;
                threadIdx.x = i;
                blockIdx.x = block;
                blockDim.x = threads;
                gridDim.x = blocks;
                kernel(params);
            });
        for (auto& worker : workers) worker.join();
    }
}
