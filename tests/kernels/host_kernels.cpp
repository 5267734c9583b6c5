// Every kernel of cuda/ as a function of a shared library; see host_cuda.h.
#include "host_cuda.h"

#include "march.cu"
#include "triplane.cu"

extern "C" {

void host_march(const void* parameters, unsigned int blocks, unsigned int threads,
                size_t shared_floats) {
    run_grid<MarchParams>(march_rays, parameters, blocks, threads, shared_floats);
}

void host_triplane(const void* parameters, unsigned int blocks, unsigned int threads,
                   size_t shared_floats) {
    run_grid<TriplaneParams>(triplane_eval, parameters, blocks, threads, shared_floats);
}

size_t march_params_size() { return sizeof(MarchParams); }
size_t triplane_params_size() { return sizeof(TriplaneParams); }
int weights_count() { return mq::Weights::count; }
}
