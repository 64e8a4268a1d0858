// The kernels' primitives on a CPU (see mmgenre/kernels/cuda/primitives.cuh), to test them without a
// GPU, and to hurt those who read too early:
// - each thread of a block is a fiber; between two barriers they run in a random order;
// - shared memory begins as NaN, and must not be written beyond what the kernel asked for;
// - what is copied asynchronously arrives when it is waited for, not before;
// - a warp's products are computed from what its 32 lanes hold, by the layouts that the PTX manual
//   gives for mma.m16n8k16 and mma.m16n8k8.

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#define KERNEL(threads) static void
#define DEVICE static inline
#define DEVICE_MEMBER
#define UNROLL

namespace emulation {

constexpr size_t kStack = 256 * 1024, kGuard = 4096;
constexpr int kWarp = 32;

struct Copy {
  void* to;
  const void* from;
};

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  std::vector<std::vector<Copy>> groups = {{}};
  long block_waits = 0, warp_waits = 0;  // Barriers that it has come to.
  bool done = false;
};

struct Lane {
  unsigned a[4], b[2];
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<std::vector<Lane>> lanes[2];  // Of two products in turn, by warp and lane.
  std::vector<unsigned char> shared;
  ucontext_t scheduler;
  int index = 0, current = 0;
};

Block* block = nullptr;
std::function<void()> body;

[[noreturn]] void fail(const char* message) {
  std::fprintf(stderr, "cuda_on_cpu: %s\n", message);
  std::abort();
}

Fiber& self() { return block->fibers[block->current]; }

void give_way() { swapcontext(&self().context, &block->scheduler); }

void start() {
  body();
  self().done = true;
  give_way();
}

// Whether a fiber may go on: all of its block, and of its warp, have come to its last barriers.
bool may_run(const Fiber& fiber, int index) {
  if (fiber.done) return false;
  for (const Fiber& other : block->fibers) {
    if (other.block_waits < fiber.block_waits) return false;
  }
  const int first = index / kWarp * kWarp;
  for (int i = first; i < first + kWarp; ++i) {
    if (block->fibers[i].warp_waits < fiber.warp_waits) return false;
  }
  return true;
}

void run_block(int index, int threads, size_t shared_bytes, std::mt19937& random) {
  Block here;
  block = &here;
  here.index = index;
  here.fibers.resize(threads);
  for (auto& lanes : here.lanes) lanes.assign(threads / kWarp, std::vector<Lane>(kWarp));
  here.shared.assign(shared_bytes + kGuard + 16, 0xff);
  std::vector<int> order(threads);
  for (int i = 0; i < threads; ++i) {
    order[i] = i;
    Fiber& fiber = here.fibers[i];
    fiber.stack = std::make_unique<char[]>(kStack);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, start, 0);
  }
  for (bool any = true; any;) {
    any = false;
    std::shuffle(order.begin(), order.end(), random);
    std::vector<int> ready;
    for (int i : order) {
      if (may_run(here.fibers[i], i)) ready.push_back(i);
    }
    // Some warps are left behind.
    const unsigned late = random();
    auto runs = [&](int i) { return late >> (i / kWarp % 32) & 1; };
    if (std::any_of(ready.begin(), ready.end(), runs)) {
      ready.erase(std::remove_if(ready.begin(), ready.end(), [&](int i) { return !runs(i); }),
                  ready.end());
    }
    for (int i : ready) {
      here.current = i;
      swapcontext(&here.scheduler, &here.fibers[i].context);
      any = true;
    }
  }
  for (const Fiber& fiber : here.fibers) {
    if (!fiber.done) fail("threads wait for a barrier that others never come to");
  }
  unsigned char* end = here.shared.data() + here.shared.size() - kGuard;
  if (std::any_of(end, end + kGuard, [](unsigned char c) { return c != 0xff; })) {
    fail("shared memory was written beyond its end");
  }
  block = nullptr;
}

unsigned char* shared_start() {
  const auto address = reinterpret_cast<uintptr_t>(block->shared.data());
  return reinterpret_cast<unsigned char*>((address + 15) / 16 * 16);
}

// The lanes of this warp, each with its factors.
const std::vector<Lane>& exchange(const unsigned (&a)[4], unsigned b0, unsigned b1) {
  Fiber& fiber = self();
  auto& lanes = block->lanes[fiber.warp_waits % 2][block->current / kWarp];
  lanes[block->current % kWarp] = {{a[0], a[1], a[2], a[3]}, {b0, b1}};
  ++fiber.warp_waits;
  give_way();
  return lanes;
}

template <typename Value>
void multiply(float (&d)[4], int depth, Value value) {
  const int lane = block->current % kWarp;
  for (int v = 0; v < 4; ++v) {
    const int row = lane / 4 + 8 * (v / 2), column = 2 * (lane % 4) + v % 2;
    float sum = 0;
    for (int k = 0; k < depth; ++k) {
      const std::pair<float, float> factors = value(row, k, column);
      sum += factors.first * factors.second;
    }
    d[v] += sum;
  }
}

}  // namespace emulation

#define shared_memory emulation::shared_start()

DEVICE int thread_index() { return emulation::block->current; }
DEVICE int block_index() { return emulation::block->index; }
DEVICE void block_barrier() {
  ++emulation::self().block_waits;
  emulation::give_way();
}

DEVICE unsigned float_bits(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
DEVICE float bits_float(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

DEVICE float quick_exp(float x) { return std::exp(x); }
DEVICE float quick_divide(float a, float b) { return a / b; }
DEVICE float approximate_tanh(float x) { return std::tanh(x); }

DEVICE void copy_async(void* shared, const void* global) {
  if (reinterpret_cast<uintptr_t>(shared) % 16 || reinterpret_cast<uintptr_t>(global) % 16) {
    emulation::fail("an asynchronous copy is not aligned");
  }
  emulation::self().groups.back().push_back({shared, global});
}
DEVICE void end_copies() { emulation::self().groups.emplace_back(); }
template <int pending>
DEVICE void wait_for_copies() {
  auto& groups = emulation::self().groups;  // The last is not ended yet.
  while (groups.size() > pending + 1) {
    for (const auto& copy : groups.front()) std::memcpy(copy.to, copy.from, 16);
    groups.erase(groups.begin());
  }
}

DEVICE void multiply_bfloat16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  const auto& lanes = emulation::exchange(a, b0, b1);
  auto half = [](unsigned pair, int k) { return bits_float(k % 2 ? pair & 0xffff0000u : pair << 16); };
  emulation::multiply(d, 16, [&](int row, int k, int column) {
    const int quarter = k % 8 / 2;
    const unsigned left = lanes[row % 8 * 4 + quarter].a[row / 8 + 2 * (k / 8)];
    const unsigned right = lanes[column * 4 + quarter].b[k / 8];
    return std::make_pair(half(left, k), half(right, k));
  });
}

DEVICE void multiply_tf32(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  const auto& lanes = emulation::exchange(a, b0, b1);
  auto cut = [](unsigned bits) { return bits_float(bits & 0xffffe000u); };
  emulation::multiply(d, 8, [&](int row, int k, int column) {
    const unsigned left = lanes[row % 8 * 4 + k % 4].a[row / 8 + 2 * (k / 4)];
    return std::make_pair(cut(left), cut(lanes[column * 4 + k % 4].b[k / 4]));
  });
}

// --- Behind the kernels: what the test calls. ---

namespace emulation {

template <typename... P, size_t... I>
void call(void (*kernel)(P...), void** pointers, std::index_sequence<I...>) {
  kernel(static_cast<P>(pointers[I])...);
}

template <typename... P>
void launch(void (*kernel)(P...), int threads, size_t wanted_bytes, int blocks, size_t shared_bytes,
            int count, void** pointers) {
  if (shared_bytes != wanted_bytes) fail("the kernel wants another amount of shared memory");
  if (count != sizeof...(P)) fail("the kernel has another number of arguments");
  std::mt19937 random(blocks);
  body = [&] { call(kernel, pointers, std::index_sequence_for<P...>()); };
  for (int i = 0; i < blocks; ++i) run_block(i, threads, shared_bytes, random);
}

}  // namespace emulation

#define ON_CPU(kernel, shared)                                                                \
  extern "C" void kernel##_on_cpu(int blocks, size_t bytes, int count, void** pointers) {     \
    emulation::launch(kernel, THREADS, sizeof(shared), blocks, bytes, count, pointers);       \
  }
