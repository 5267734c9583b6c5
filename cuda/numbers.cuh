// Numbers of 16 bits, and the 19 bits that a tensor core reads of a float.
//
// NVRTC brings no headers of its own, so conversions are PTX instructions. The tests' emulation
// (MQ_HOST) has its own bodies for those.
//
//   MQ_NUMBER  what pictures are made of: 0 float, 1 IEEE half, 2 bfloat16
#pragma once

#include "common.cuh"

#ifndef MQ_NUMBER
#define MQ_NUMBER 0
#endif

namespace mq {

#ifndef MQ_HOST
MQ_DEVICE float half_to_float(unsigned short bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

MQ_DEVICE unsigned short float_to_half(float value) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

// A float rounded to ten bits of fraction, halves away from zero.
MQ_DEVICE unsigned int to_tf32(float value) {
    unsigned int bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
    return bits;
}

// c += a b by the 32 lanes of a warp: a is 16 x 8, b 8 x 8, c 16 x 8. With g = lane / 4 and
// t = lane % 4 a lane holds
//   a: rows g, g + 8, g, g + 8 and columns t, t, t + 4, t + 4
//   b: rows t, t + 4 and column g
//   c: rows g, g, g + 8, g + 8 and columns 2 t, 2 t + 1, 2 t, 2 t + 1
// (PTX ISA, "Matrix Fragments for mma.m16n8k8").
MQ_DEVICE void mma_tf32(float* c, const unsigned int* a, const unsigned int* b) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

// A float as two of tensor cores' numbers: the nearest, and the nearest to what that leaves.
MQ_DEVICE void split(float value, unsigned int& high, unsigned int& low) {
    high = to_tf32(value);
    low = to_tf32(value - __uint_as_float(high));
}

// bfloat16 is the upper half of a float.
MQ_DEVICE float bfloat_to_float(unsigned short bits) {
    return __uint_as_float(static_cast<unsigned int>(bits) << 16);
}

// To the nearest, halves to even.
MQ_DEVICE unsigned short float_to_bfloat(float value) {
    const unsigned int bits = __float_as_uint(value);
    if (value != value) return 0x7fff;
    return static_cast<unsigned short>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

#if MQ_NUMBER == 0
typedef float number_t;
MQ_DEVICE float load(const number_t* from) { return *from; }
MQ_DEVICE void store(number_t* to, float value) { *to = value; }
#else
typedef unsigned short number_t;
#if MQ_NUMBER == 1
MQ_DEVICE float load(const number_t* from) { return half_to_float(*from); }
MQ_DEVICE void store(number_t* to, float value) { *to = float_to_half(value); }
#else
MQ_DEVICE float load(const number_t* from) { return bfloat_to_float(*from); }
MQ_DEVICE void store(number_t* to, float value) { *to = float_to_bfloat(value); }
#endif
#endif

}  // namespace mq
