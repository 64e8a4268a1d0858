// What the kernels ask of the machine, and all that is CUDA in them. tests/kernels/cuda_on_cpu.h has
// the same names for a CPU, so that what stands in lstm_wavefront.cuh is tested without a GPU.

#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads, 1)
#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
#define UNROLL _Pragma("unroll")

extern __shared__ __align__(16) unsigned char shared_memory[];

DEVICE int thread_index() { return threadIdx.x; }
DEVICE int block_index() { return blockIdx.x; }
DEVICE void block_barrier() { __syncthreads(); }

DEVICE unsigned float_bits(float x) { return __float_as_uint(x); }
DEVICE float bits_float(unsigned x) { return __uint_as_float(x); }

// To about 1e-7, by the special function units.
DEVICE float quick_exp(float x) { return __expf(x); }
DEVICE float quick_divide(float a, float b) { return __fdividef(a, b); }
// One instruction, to 2^-11 of the result.
DEVICE float approximate_tanh(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Copies 16 bytes into shared memory without waiting for them.
DEVICE void copy_async(void* shared, const void* global) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(global) : "memory");
}

// Ends a group of this thread's copies; it may be empty.
DEVICE void end_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until this thread's copies have arrived, but for its last `pending` groups.
template <int pending>
DEVICE void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// d[16, 8] += a[16, 16] b[16, 8] of a warp, bfloat16; the PTX manual, "mma.m16n8k16", says which lane
// holds what.
DEVICE void multiply_bfloat16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// d[16, 8] += a[16, 8] b[8, 8] of a warp, TensorFloat-32: the last 13 bits of a and b do not count.
DEVICE void multiply_tf32(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
