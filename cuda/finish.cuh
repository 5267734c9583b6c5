// What follows a convolution in StyleGAN2's layers: noise, bias, activation, gain, limit.
//
// Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020), figure 2: noise of
// one value a pixel, a bias of one value a channel, a leaky ReLU times the square root of two.
#pragma once

#include "numbers.cuh"

namespace mq {

// Passed by value; engine/kernels/pictures.py holds the same layout.
struct Finish {
    const float* bias;        // [channels], or null
    const float* noise;       // [samples or 1, pixels], its strength inside, or null
    long long noise_stride;   // numbers from one sample's noise to the next one's; 0 is one for all
    float slope;              // of the leaky ReLU: 1 is none
    float gain;               // of what comes out of it
    float limit;              // of the result's magnitude; 0 is none
};

// One value of channel `channel` of sample `sample`, at pixel `pixel`.
MQ_DEVICE float finished(const Finish& finish, float value, long long sample, int channel,
                         long long pixel) {
    if (finish.noise != nullptr) value += finish.noise[sample * finish.noise_stride + pixel];
    if (finish.bias != nullptr) value += finish.bias[channel];
    value = (value < 0.0f ? value * finish.slope : value) * finish.gain;
    // By comparisons, so that what is not a number stays so and shows.
    if (finish.limit > 0.0f)
        value = value > finish.limit ? finish.limit : value < -finish.limit ? -finish.limit : value;
    return value;
}

}  // namespace mq
