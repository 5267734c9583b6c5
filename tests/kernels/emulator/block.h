// One block of CUDA threads on a CPU: a fiber for each thread, on one thread of the system.
//
// A fiber runs until it waits: at a barrier of its block, or for the lanes of its warp that its mask
// names (a barrier, a shuffle, a vote, a matrix product). When nobody can run any more, whoever
// waits for complete company is let go. Since a fiber runs alone up to its next wait, what it sees
// of the others' memory depends on the order of the fibers, and the kernel's result must not: running a
// grid in different orders and comparing shows memory that two threads use between barriers.
//
// Told as errors: threads of a block or of a mask that do not wait for the same thing (on a GPU a
// hang or worse), lanes that have ended but are named, undefined arithmetic and misaligned loads
// (the compiler's traps), and memory outside of what was handed over (protected pages).
//
// Limits: a shuffle orders memory here, which it does not on a GPU; blocks run one after the
// other, never at the same time; there are no atomics, textures or clusters.
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

// No header of the C++ library: each kernel is compiled alone, and <vector> would take most of that time.

namespace emulator {

constexpr unsigned int WARP = 32, MOST_THREADS = 1024, STACK = 1 << 17;
constexpr unsigned int SHARED = 232448, GUARD = 4096;  // bytes of a block on an H100, and behind
constexpr unsigned char MARK = 0xff;                   // fills both: NaN as a float

struct Fiber;
// Makes a waiting lane's result from what all lanes of its warp have sent.
typedef void (*Complete)(Fiber* warp, unsigned int lane);

enum State { READY, AT_BLOCK, AT_WARP, ENDED };

struct Fiber {
    char* stack = nullptr;
    bool begun = false;  // has a place to go on from
    jmp_buf place;
    State state;
    uint32_t mask;       // AT_WARP: whom it waits for
    Complete complete;   // AT_WARP: what for
    uint32_t sent[12];   // what it gives to the others
    int source;          // the lane that it wants to read
    uint32_t got[4];     // what it gets
};

struct Error {
    char text[256];
};

struct Machine {
    Fiber fibers[MOST_THREADS];
    jmp_buf main;
    sigjmp_buf trap;
    unsigned int threads = 0, current = 0;
    void (*body)(const void*) = nullptr;
    const void* parameters = nullptr;
};
inline Machine machine;

struct Index {
    unsigned int x = 0, y = 0, z = 0;
};
inline Index thread_index, block_index, block_size, grid_size;

inline Fiber& self() { return machine.fibers[machine.current]; }

// Gives the processor back. Not by swapcontext, which asks the system for the signals at each turn.
inline void leave(Fiber& fiber) {
    if (_setjmp(fiber.place) == 0) _longjmp(machine.main, 1);
}

// Gives the processor back until the scheduler lets this fiber go on.
inline void wait(State state, uint32_t mask = 0, Complete complete = nullptr) {
    Fiber& fiber = self();
    fiber.state = state;
    fiber.mask = mask;
    fiber.complete = complete;
    leave(fiber);
}

inline void fail(const char* what, unsigned int thread) {
    Error error;
    snprintf(error.text, sizeof error.text, "thread %u of block %u: %s", thread, block_index.x, what);
    throw error;
}

// Lets go whoever waits for complete company; false if nobody does.
inline bool release() {
    bool any = false, all = true;
    unsigned int live = 0;
    for (unsigned int i = 0; i < machine.threads; ++i) {
        if (machine.fibers[i].state == ENDED) continue;
        ++live;
        all = all && machine.fibers[i].state == AT_BLOCK;
    }
    if (live != 0 && all) {
        for (unsigned int i = 0; i < machine.threads; ++i)
            if (machine.fibers[i].state == AT_BLOCK) machine.fibers[i].state = READY;
        return true;
    }
    for (unsigned int base = 0; base < machine.threads; base += WARP) {
        Fiber* warp = machine.fibers + base;
        const unsigned int lanes = machine.threads - base < WARP ? machine.threads - base : WARP;
        for (unsigned int i = 0; i < lanes; ++i) {
            if (warp[i].state != AT_WARP) continue;
            const uint32_t mask = warp[i].mask;
            if (!(mask >> i & 1u)) fail("its mask does not name itself", base + i);
            bool complete = true;
            for (unsigned int j = 0; j < WARP; ++j) {
                if (!(mask >> j & 1u)) continue;
                if (j >= lanes || warp[j].state == ENDED)
                    fail("its mask names a lane that has ended or never was", base + i);
                if (warp[j].state != AT_WARP) {
                    complete = false;
                } else if (warp[j].mask != mask || warp[j].complete != warp[i].complete) {
                    fail("the lanes of its mask wait for different things", base + i);
                }
            }
            if (!complete) continue;
            for (unsigned int j = 0; j < lanes; ++j)
                if (mask >> j & 1u && warp[j].complete) warp[j].complete(warp, j);
            for (unsigned int j = 0; j < lanes; ++j)
                if (mask >> j & 1u) warp[j].state = READY;
            any = true;
        }
    }
    return any;
}

// A fiber does one thread after the other: the next block's goes on in the same place.
inline void enter() {
    for (;;) {
        machine.body(machine.parameters);
        self().state = ENDED;
        leave(self());
    }
}

// Lets a fiber run up to its next wait.
inline void go_on(Fiber& fiber) {
    if (_setjmp(machine.main) != 0) return;
    if (fiber.begun) _longjmp(fiber.place, 1);
    fiber.begun = true;
    if (fiber.stack == nullptr) fiber.stack = static_cast<char*>(malloc(STACK));
    if (fiber.stack == nullptr) abort();
    ucontext_t start;
    getcontext(&start);
    start.uc_stack.ss_sp = fiber.stack;
    start.uc_stack.ss_size = STACK;
    start.uc_link = nullptr;
    makecontext(&start, enter, 0);
    setcontext(&start);
}

// Some order of 0 .. count - 1.
struct Turn {
    const unsigned int count;
    unsigned int* const values;
    explicit Turn(unsigned int size)
        : count(size), values(static_cast<unsigned int*>(malloc((size + 1) * sizeof(unsigned int)))) {
        if (values == nullptr) abort();
    }
    Turn(const Turn&) = delete;
    ~Turn() { free(values); }
    const unsigned int* begin() const { return values; }
    const unsigned int* end() const { return values + count; }
    unsigned int& operator[](unsigned int i) { return values[i]; }
};

// A permutation of 0 .. count - 1: ascending, descending, or one that `order` and `round` decide.
inline void arrange(Turn& turn, unsigned int order, unsigned int round) {
    const unsigned int count = turn.count;
    for (unsigned int i = 0; i < count; ++i) turn[i] = order == 1 ? count - 1 - i : i;
    if (order < 2) return;
    uint64_t state = order * 0x9e3779b97f4a7c15u + round;
    for (unsigned int i = count; i > 1; --i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const unsigned int j = static_cast<unsigned int>(state >> 33) % i;
        const unsigned int kept = turn[i - 1];
        turn[i - 1] = turn[j];
        turn[j] = kept;
    }
}

inline void run_block(unsigned int order) {
    for (unsigned int i = 0; i < machine.threads; ++i) machine.fibers[i].state = READY;
    Turn turn(machine.threads);
    for (unsigned int round = 0;; ++round) {
        arrange(turn, order, round);
        bool live = false;
        for (const unsigned int index : turn) {
            Fiber& fiber = machine.fibers[index];
            if (fiber.state == READY) {
                machine.current = index;
                thread_index.x = index;
                go_on(fiber);
            }
            live = live || fiber.state != ENDED;
        }
        if (!live) return;
        if (!release())
            for (unsigned int i = 0; i < machine.threads; ++i)
                if (machine.fibers[i].state != ENDED) fail("it waits for ever", i);
    }
}

inline void trapped(int number) { siglongjmp(machine.trap, number); }

// Runs a whole grid, one block after the other.
//
//   order   0: threads and blocks ascending, 1: descending, others: shuffled
//   shared  memory of a block and the bytes behind it that must stay as they are
//
// Returns 0, or 1 with what went wrong in `message`.
inline int run_grid(void (*body)(const void*), const void* parameters, unsigned int blocks,
                    unsigned int threads, unsigned char* shared, size_t shared_bytes,
                    unsigned int order, char* message, size_t room) {
    static const int numbers[] = {SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP};
    struct sigaction before[5], mine;
    memset(&mine, 0, sizeof mine);
    mine.sa_handler = trapped;
    for (int i = 0; i < 5; ++i) sigaction(numbers[i], &mine, &before[i]);
    machine.threads = threads;
    machine.body = body;
    machine.parameters = parameters;
    block_size.x = threads;
    grid_size.x = blocks;
    int status = 0;
    const int number = sigsetjmp(machine.trap, 1);
    if (number != 0) {
        snprintf(message, room, "thread %u of block %u: %s", machine.current, block_index.x,
                 number == SIGSEGV || number == SIGBUS ? "memory outside of its tensors"
                                                       : "undefined arithmetic or misaligned memory");
        status = 1;
    } else {
        try {
            if (threads == 0 || threads > MOST_THREADS || shared_bytes > SHARED)
                fail("the block is larger than any GPU's", 0);
            Turn turn(blocks);
            arrange(turn, order, 0);
            for (const unsigned int block : turn) {
                block_index.x = block;
                memset(shared, MARK, shared_bytes + GUARD);
                run_block(order);
                for (size_t i = shared_bytes; i < shared_bytes + GUARD; ++i)
                    if (shared[i] != MARK) fail("shared memory beyond the block's was written", 0);
            }
        } catch (const Error& error) {
            snprintf(message, room, "%s", error.text);
            status = 1;
        }
    }
    for (int i = 0; i < 5; ++i) sigaction(numbers[i], &before[i], nullptr);
    // Those that were left in the middle begin anew.
    if (status != 0)
        for (Fiber& fiber : machine.fibers) fiber.begun = false;
    return status;
}

}  // namespace emulator
