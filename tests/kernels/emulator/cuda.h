// The names of CUDA that cuda/*.cu use, for an ordinary C++ compiler; block.h runs the threads.
//
// The sources are compiled as they are. Where they say `#ifdef MQ_HOST`, inline PTX stands on the
// other side, and what replaces it here was written from the PTX manual, not from the kernels.
#pragma once

#include <math.h>
#include <stddef.h>

#include "block.h"

#define MQ_HOST 1
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __restrict__ __restrict

#define threadIdx (emulator::thread_index)
#define blockIdx (emulator::block_index)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)

// Dynamic shared memory: the sources declare `extern __shared__ float shared[]`.
extern "C++" __align__(16) float shared[(emulator::SHARED + emulator::GUARD) / 4];
float shared[(emulator::SHARED + emulator::GUARD) / 4];

struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) uint4 {
    unsigned int x, y, z, w;
};

template <class T>
inline T __ldg(const T* pointer) {
    return *pointer;
}

// The hardware's approximations are exact here.
#define __expf expf
#define __logf logf
#define __sinf sinf
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline int __popc(unsigned int bits) { return __builtin_popcount(bits); }
inline unsigned int __float_as_uint(float value) {
    unsigned int bits;
    memcpy(&bits, &value, 4);
    return bits;
}
inline float __uint_as_float(unsigned int bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

// ---------------------------------------------------------------- together

inline void __syncthreads() { emulator::wait(emulator::AT_BLOCK); }
inline void __syncwarp(unsigned int mask = 0xffffffffu) { emulator::wait(emulator::AT_WARP, mask); }

namespace emulator {

inline void pick(Fiber* warp, unsigned int lane) {
    const int source = warp[lane].source;
    if (!(warp[lane].mask >> source & 1u)) fail("it reads a lane outside of its mask", lane);
    warp[lane].got[0] = warp[source].sent[0];
}

inline void vote(Fiber* warp, unsigned int lane) {
    uint32_t bits = 0;
    for (unsigned int i = 0; i < WARP; ++i)
        if (warp[lane].mask >> i & 1u && warp[i].sent[0]) bits |= 1u << i;
    warp[lane].got[0] = bits;
}

inline float shuffled(unsigned int mask, float value, int source) {
    Fiber& fiber = self();
    fiber.sent[0] = __float_as_uint(value);
    fiber.source = source;
    wait(AT_WARP, mask, pick);
    return __uint_as_float(fiber.got[0]);
}
inline int lane() { return static_cast<int>(thread_index.x % WARP); }

}  // namespace emulator

inline float __shfl_xor_sync(unsigned int mask, float value, int offset, int width = 32) {
    const int lane = emulator::lane(), source = lane ^ offset;
    // A source in a later group of `width` lanes gives the lane's own value.
    return emulator::shuffled(mask, value, source >= (lane & ~(width - 1)) + width ? lane : source);
}
inline float __shfl_up_sync(unsigned int mask, float value, int offset, int width = 32) {
    const int lane = emulator::lane(), source = lane - offset;
    return emulator::shuffled(mask, value, source < (lane & ~(width - 1)) ? lane : source);
}
inline float __shfl_down_sync(unsigned int mask, float value, int offset, int width = 32) {
    const int lane = emulator::lane(), source = lane + offset;
    return emulator::shuffled(mask, value, source >= (lane & ~(width - 1)) + width ? lane : source);
}
inline float __shfl_sync(unsigned int mask, float value, int source, int width = 32) {
    const int first = emulator::lane() & ~(width - 1);
    return emulator::shuffled(mask, value, first + (source & (width - 1)));
}
// Other types would be converted without a word.
template <class T>
T __shfl_xor_sync(unsigned int, T, int, int = 32) = delete;
template <class T>
T __shfl_up_sync(unsigned int, T, int, int = 32) = delete;
template <class T>
T __shfl_down_sync(unsigned int, T, int, int = 32) = delete;
template <class T>
T __shfl_sync(unsigned int, T, int, int = 32) = delete;
inline unsigned int __ballot_sync(unsigned int mask, int predicate) {
    emulator::Fiber& fiber = emulator::self();
    fiber.sent[0] = predicate != 0;
    emulator::wait(emulator::AT_WARP, mask, emulator::vote);
    return fiber.got[0];
}

// ---------------------------------------------------------------- other numbers

namespace mq {

// cvt.f32.f16
inline float half_to_float(unsigned short bits) {
    const unsigned int sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 31u;
    const unsigned int fraction = bits & 1023u;
    if (exponent == 0) return (sign ? -1.0f : 1.0f) * static_cast<float>(fraction) * 0x1p-24f;
    return __uint_as_float(sign | ((exponent == 31 ? 255u : exponent + 112u) << 23) |
                           (fraction << 13));
}

// cvt.rn.f16.f32
inline unsigned short float_to_half(float value) {
    const unsigned int bits = __float_as_uint(value);
    const unsigned int sign = bits >> 16 & 0x8000u;
    const float size = fabsf(value);
    if (size != size) return 0x7fff;
    if (size >= 65520.0f) return static_cast<unsigned short>(sign | 0x7c00u);
    if (size < 0x1p-14f)  // steps of 2^-24; rintf rounds halves to even
        return static_cast<unsigned short>(sign | static_cast<unsigned int>(rintf(size * 0x1p24f)));
    const unsigned int rounded = (bits & 0x7fffffffu) + 0xfffu + (bits >> 13 & 1u);
    return static_cast<unsigned short>(sign | ((rounded >> 13) - (112u << 10)));
}

// cvt.rna.tf32.f32: ten bits of fraction, halves away from zero.
inline unsigned int to_tf32(float value) {
    return (__float_as_uint(value) + 0x1000u) & 0xffffe000u;
}

}  // namespace mq

namespace emulator {

// mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32, PTX ISA, "Matrix Fragments for mma.m16n8k8":
// with g = lane / 4 and t = lane % 4, a lane holds A at rows g, g + 8, g, g + 8 and columns t, t,
// t + 4, t + 4; B at rows t, t + 4 and column g; C at rows g, g, g + 8, g + 8 and columns 2 t,
// 2 t + 1, 2 t, 2 t + 1. The hardware reads the upper 19 bits of an operand.
inline void product_16x8x8(Fiber* warp, unsigned int lane) {
    const unsigned int g = lane / 4, t = lane % 4;
    for (unsigned int i = 0; i < 4; ++i) {
        const unsigned int row = g + 8 * (i / 2), column = 2 * t + i % 2;
        // A tensor core adds with some bits to spare and cuts off what a float does not hold.
        double sum = __uint_as_float(warp[lane].sent[6 + i]);
        for (unsigned int k = 0; k < 8; ++k) {
            const Fiber& left = warp[row % 8 * 4 + k % 4];
            const Fiber& right = warp[column * 4 + k % 4];
            sum += static_cast<double>(
                       __uint_as_float(left.sent[row / 8 + 2 * (k / 4)] & 0xffffe000u)) *
                   __uint_as_float(right.sent[4 + k / 4] & 0xffffe000u);
        }
        float cut = static_cast<float>(sum);
        if (std::fabs(static_cast<double>(cut)) > std::fabs(sum)) cut = std::nextafterf(cut, 0.0f);
        warp[lane].got[i] = __float_as_uint(cut);
    }
}

}  // namespace emulator

namespace mq {

inline void mma_tf32(float* c, const unsigned int* a, const unsigned int* b) {
    emulator::Fiber& fiber = emulator::self();
    for (int i = 0; i < 4; ++i) fiber.sent[i] = a[i];
    for (int i = 0; i < 2; ++i) fiber.sent[4 + i] = b[i];
    for (int i = 0; i < 4; ++i) fiber.sent[6 + i] = __float_as_uint(c[i]);
    emulator::wait(emulator::AT_WARP, 0xffffffffu, emulator::product_16x8x8);
    for (int i = 0; i < 4; ++i) c[i] = __uint_as_float(fiber.got[i]);
}

}  // namespace mq

// ---------------------------------------------------------------- from Python

#include <sys/mman.h>
#include <unistd.h>

// `bytes` at the end of a page, 32 pages that cannot be touched on both sides.
extern "C" unsigned char* emulator_take(size_t bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inner = (bytes + page - 1) / page * page + (bytes == 0 ? page : 0);
    void* region =
        mmap(nullptr, inner + 64 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED) return nullptr;
    unsigned char* first = static_cast<unsigned char*>(region) + 32 * page;
    mprotect(first, inner, PROT_READ | PROT_WRITE);
    return first;
}
extern "C" void emulator_leave(unsigned char* first, size_t bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inner = (bytes + page - 1) / page * page + (bytes == 0 ? page : 0);
    munmap(first - 32 * page, inner + 64 * page);
}

template <class Params>
size_t emulator_size(void (*)(Params)) {
    return sizeof(Params);
}
template <class Params, void (*kernel)(Params)>
void emulator_body(const void* parameters) {
    kernel(*static_cast<const Params*>(parameters));
}
template <class Params>
struct EmulatorParams;
template <class Params>
struct EmulatorParams<void (*)(Params)> {
    typedef Params type;
};

#define EMULATE(kernel)                                                                          \
    extern "C" size_t emulator_params_size() { return emulator_size(kernel); }                   \
    extern "C" int emulator_run(const void* parameters, unsigned int blocks, unsigned int threads, \
                                size_t bytes, unsigned int order, char* message, size_t room) {    \
        return emulator::run_grid(                                                               \
            emulator_body<EmulatorParams<decltype(&kernel)>::type, kernel>, parameters, blocks,  \
            threads, reinterpret_cast<unsigned char*>(shared), bytes, order, message, room);     \
    }
