// One or two LSTM layers over whole sequences in one launch, forward and backward.
//
// A block takes ROWS movies from the first step to the last. Its warps form STAGES groups, one for each
// matrix that is needed serially: layer 0's recurrent kernel, layer 1's input kernel, layer 1's
// recurrent kernel. Each warp keeps its share of its group's matrix in registers, as the factor "a" of
// the matrix units (16 units by all of k), and the movies are the columns of the factor "b", which goes
// through shared memory. The groups are a pipeline: while the first works on step s, the second works
// on s - 1 and the third on s - 2. So two layers over T steps take T + 2 turns, with one barrier each.
//
// A warp owns the same 16 units in all four gates, so that a lane finds the gates of its own cells in
// its own registers. By the layout of the matrix units' results a lane has four cells:
//   v:         0          1            2          3
//   unit:  group          group        group + 8  group + 8      (group = lane / 4)
//   movie: 2 pair         2 pair + 1   2 pair     2 pair + 1     (pair = lane % 4)
//
// The compiler is told: UNITS (a multiple of 16), LAYERS (1 or 2), BFLOAT16 (else float32), EXACT
// (float32 products to about 2^-21, by three of TensorFloat-32 each), MASKED (there is a dropout mask
// between the layers), KEEP (what the way back needs is stored), DEPTH (steps of inputs in shared
// memory, at least 2). Gates lie in the order i, f, g, o.

#if BFLOAT16
typedef unsigned short Element;
#else
typedef float Element;
#endif

struct alignas(4 * sizeof(Element)) FourElements {
  Element v[4];
};
struct alignas(16) FourFloats {
  float v[4];
};

constexpr int ROWS = 8;
constexpr int GATES = 4 * UNITS;
constexpr int TILES = UNITS / 16;
constexpr int STAGES = 2 * LAYERS - 1;
constexpr int STAGE_THREADS = 32 * TILES;
constexpr int THREADS = STAGES * STAGE_THREADS;
constexpr int K_STEP = BFLOAT16 ? 16 : 8;      // Of one product of the matrix units.
constexpr int K_STEPS = UNITS / K_STEP;        // Products over the units, of one gate.
constexpr int PAD = 16 / sizeof(Element);      // Rows of shared memory start in different banks.
constexpr int UNIT_STRIDE = UNITS + PAD;       // Of a row of units.
constexpr int GATE_STRIDE = GATES + PAD;       // Of a row of gates.
constexpr int MASK_STRIDE = UNITS + 4;         // Of a row of the mask, which is float32.
constexpr int GATES_OF_STEP = 4 * ROWS * UNITS;  // Of a block, as they are kept: [tile, gate, lane, 4].
constexpr int CELLS_OF_STEP = ROWS * UNITS;      // The same: [tile, lane, 4].

DEVICE float to_float(float x) { return x; }
DEVICE float to_float(unsigned short x) { return bits_float(static_cast<unsigned>(x) << 16); }

DEVICE Element to_element(float x) {
#if BFLOAT16
  const unsigned bits = float_bits(x);  // To the nearest, ties to even; NaN stays one.
  const unsigned rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  return static_cast<unsigned short>((x == x ? rounded : bits | 0x400000u) >> 16);
#else
  return x;
#endif
}

// What a product takes: TensorFloat-32 is rounded here, or the matrix units would cut it off.
DEVICE Element to_factor(float x) {
#if BFLOAT16 || EXACT
  return to_element(x);
#else
  return bits_float((float_bits(x) + 0x1000u) & 0xffffe000u);
#endif
}

DEVICE float tanh_of(float x) {
#if BFLOAT16
  return approximate_tanh(x);
#else
  return 1.0f - quick_divide(2.0f, 1.0f + quick_exp(2.0f * x));
#endif
}

DEVICE float sigmoid_of(float x) {
#if BFLOAT16
  return 0.5f * approximate_tanh(0.5f * x) + 0.5f;
#else
  return quick_divide(1.0f, 1.0f + quick_exp(-x));
#endif
}

DEVICE void multiply(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#if BFLOAT16
  multiply_bfloat16(d, a, b0, b1);
#elif EXACT
  // Each factor is a part that TensorFloat-32 holds, and the rest; rest times rest does not count.
  unsigned high[4], rest[4];
  UNROLL
  for (int i = 0; i < 4; ++i) {
    high[i] = a[i] & 0xffffe000u;
    rest[i] = float_bits(bits_float(a[i]) - bits_float(high[i]));
  }
  const unsigned high0 = b0 & 0xffffe000u, high1 = b1 & 0xffffe000u;
  const unsigned rest0 = float_bits(bits_float(b0) - bits_float(high0));
  const unsigned rest1 = float_bits(bits_float(b1) - bits_float(high1));
  multiply_tf32(d, rest, high0, high1);
  multiply_tf32(d, high, rest0, rest1);
  multiply_tf32(d, high, high0, high1);
#else
  multiply_tf32(d, a, b0, b1);
#endif
}

// The factor "b" of k step `k`: rows of movies, k along a row.
DEVICE void read_b(const Element* rows, int stride, int k, int lane, unsigned& b0, unsigned& b1) {
  const Element* row = rows + (lane / 4) * stride + k * K_STEP;
#if BFLOAT16
  b0 = *reinterpret_cast<const unsigned*>(row + 2 * (lane % 4));
  b1 = *reinterpret_cast<const unsigned*>(row + 2 * (lane % 4) + 8);
#else
  b0 = float_bits(row[lane % 4]);
  b1 = float_bits(row[lane % 4 + 4]);
#endif
}

// A lane's part of the factor "a", whose element (m, k) is matrix[m * m_stride + k * k_stride].
DEVICE void read_a(unsigned (&a)[4], const Element* matrix, int m_stride, int k_stride, int lane) {
  UNROLL
  for (int i = 0; i < 4; ++i) {
    const int m = lane / 4 + 8 * (i % 2);
#if BFLOAT16
    const int k = 2 * (lane % 4) + 8 * (i / 2);
    const unsigned low = matrix[m * m_stride + k * k_stride];
    const unsigned high = matrix[m * m_stride + (k + 1) * k_stride];
    a[i] = low | high << 16;
#else
    const int k = lane % 4 + 4 * (i / 2);
    a[i] = float_bits(to_factor(matrix[m * m_stride + k * k_stride]));
#endif
  }
}

// Rows of global memory into rows of shared memory, by the threads of one stage.
template <typename T>
DEVICE void copy_rows(T* shared, int shared_stride, const T* global, int columns, int thread) {
  constexpr int in_chunk = 16 / sizeof(T);
  const int chunks = columns / in_chunk;
  for (int i = thread; i < ROWS * chunks; i += STAGE_THREADS) {
    const int row = i / chunks, column = (i % chunks) * in_chunk;
    copy_async(shared + row * shared_stride + column, global + row * columns + column);
  }
}

template <typename T>
DEVICE void copy_block(T* shared, const T* global, int count, int thread) {
  constexpr int in_chunk = 16 / sizeof(T);
  for (int i = thread; i < count / in_chunk; i += STAGE_THREADS) {
    copy_async(shared + i * in_chunk, global + i * in_chunk);
  }
}

// Where this thread works, and what of its cells lies where.
struct Place {
  int thread, stage, tile, lane;

  DEVICE_MEMBER Place() {
    thread = thread_index() % STAGE_THREADS;
    stage = thread_index() / STAGE_THREADS;
    tile = thread / 32;
    lane = thread % 32;
  }
  DEVICE_MEMBER int row(int v) const { return 2 * (lane % 4) + v % 2; }
  DEVICE_MEMBER int unit(int v) const { return 16 * tile + lane / 4 + 8 * (v / 2); }
};

// --- Forward ---

struct ForwardShared {
  alignas(16) Element z[DEPTH][ROWS * GATE_STRIDE];
#if MASKED
  alignas(16) float mask[DEPTH][ROWS * MASK_STRIDE];
  alignas(16) Element masked[2][ROWS * UNIT_STRIDE];  // Layer 0's outputs as layer 1 gets them.
#endif
  alignas(16) Element h[LAYERS][2][ROWS * UNIT_STRIDE];
#if LAYERS == 2
  FourFloats projected[2][TILES][4][32];  // Layer 1's gates, but for what its state adds.
#endif
};

// Args:
//   sizes: the steps T and the movies B, a multiple of ROWS.
//   z: layer 0's input product and bias, [T, B, GATES].
//   recurrent0, recurrent1, input1: [UNITS, GATES]; bias1: <float>[GATES].
//   mask: <float>[T, B, UNITS], what layer 0's outputs are multiplied with.
//   h0, h1: the layers' outputs [T, B, UNITS].
//   gates: [LAYERS, T, B / ROWS, GATES_OF_STEP], cells: <float>[LAYERS, T, B / ROWS, CELLS_OF_STEP]: for
//     `lstm_backward`.
KERNEL(THREADS)
lstm_forward(
    const int* __restrict__ sizes, const Element* __restrict__ z,
    const Element* __restrict__ recurrent0,
#if LAYERS == 2
    const Element* __restrict__ input1, const float* __restrict__ bias1,
    const Element* __restrict__ recurrent1,
#if MASKED
    const float* __restrict__ mask,
#endif
#endif
#if LAYERS == 1 || KEEP
    Element* __restrict__ h0
#endif
#if LAYERS == 2 && KEEP
    ,
#endif
#if LAYERS == 2
    Element* __restrict__ h1
#endif
#if KEEP
    ,
    Element* __restrict__ gates, float* __restrict__ cells
#endif
) {
  ForwardShared& shared = *reinterpret_cast<ForwardShared*>(shared_memory);
  const Place place;
  const int time = sizes[0], batch = sizes[1], block = block_index();
  const int stage = place.stage, tile = place.tile, lane = place.lane;

  const Element* matrix = recurrent0;
#if LAYERS == 2
  if (stage == 1) matrix = input1;
  if (stage == 2) matrix = recurrent1;
#endif
  unsigned weights[K_STEPS][4][4];
  UNROLL
  for (int k = 0; k < K_STEPS; ++k) {
    UNROLL
    for (int gate = 0; gate < 4; ++gate) {
      const Element* part = matrix + k * K_STEP * GATES + gate * UNITS + 16 * tile;
      read_a(weights[k][gate], part, 1, GATES, lane);
    }
  }

  auto prefetch = [&](int t) {
    if (stage == 0 && t < time) {
      const long first = static_cast<long>(t) * batch + block * ROWS;
      copy_rows(shared.z[t % DEPTH], GATE_STRIDE, z + first * GATES, GATES, place.thread);
#if MASKED
      copy_rows(shared.mask[t % DEPTH], MASK_STRIDE, mask + first * UNITS, UNITS, place.thread);
#endif
    }
    end_copies();
  };

  Element* states = shared.h[0][0];
  for (int i = thread_index(); i < LAYERS * 2 * ROWS * UNIT_STRIDE; i += THREADS) states[i] = 0;
  for (int t = 0; t < DEPTH - 1; ++t) prefetch(t);
  wait_for_copies<DEPTH - 2>();
  block_barrier();

  float cell[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int turn = 0; turn < time + STAGES - 1; ++turn) {
    const int t = turn - stage;
    prefetch(turn + DEPTH - 1);
    if (t >= 0 && t < time) {
      float sums[4][4];
      const Element* source = shared.h[0][(t + 1) % 2];
      UNROLL
      for (int gate = 0; gate < 4; ++gate) {
        if (stage == 0) {
          UNROLL
          for (int v = 0; v < 4; ++v) {
            const int at = place.row(v) * GATE_STRIDE + gate * UNITS + place.unit(v);
            sums[gate][v] = to_float(shared.z[t % DEPTH][at]);
          }
        }
#if LAYERS == 2
        if (stage == 1) {
          UNROLL
          for (int v = 0; v < 4; ++v) sums[gate][v] = bias1[gate * UNITS + place.unit(v)];
        }
        if (stage == 2) {
          const FourFloats part = shared.projected[t % 2][tile][gate][lane];
          UNROLL
          for (int v = 0; v < 4; ++v) sums[gate][v] = part.v[v];
        }
#endif
      }
#if LAYERS == 2
#if MASKED
      if (stage == 1) source = shared.masked[t % 2];
#else
      if (stage == 1) source = shared.h[0][t % 2];
#endif
      if (stage == 2) source = shared.h[1][(t + 1) % 2];
#endif
      UNROLL
      for (int k = 0; k < K_STEPS; ++k) {
        unsigned b0, b1;
        read_b(source, UNIT_STRIDE, k, lane, b0, b1);
        UNROLL
        for (int gate = 0; gate < 4; ++gate) multiply(sums[gate], weights[k][gate], b0, b1);
      }
      if (stage == 1) {
#if LAYERS == 2
        UNROLL
        for (int gate = 0; gate < 4; ++gate) {
          FourFloats part;
          UNROLL
          for (int v = 0; v < 4; ++v) part.v[v] = sums[gate][v];
          shared.projected[t % 2][tile][gate][lane] = part;
        }
#endif
      } else {
        const int layer = stage / 2;
#if LAYERS == 1
        Element* h = h0;
#elif KEEP
        Element* h = layer == 0 ? h0 : h1;
#else
        Element* h = h1;
#endif
        UNROLL
        for (int v = 0; v < 4; ++v) {
          const float i = sigmoid_of(sums[0][v]), f = sigmoid_of(sums[1][v]);
          const float g = tanh_of(sums[2][v]), o = sigmoid_of(sums[3][v]);
          cell[v] = f * cell[v] + i * g;
          const float output = o * tanh_of(cell[v]);
          const int row = place.row(v), unit = place.unit(v);
          shared.h[layer][t % 2][row * UNIT_STRIDE + unit] = to_factor(output);
#if MASKED
          if (stage == 0) {
            // As between two layers of their own: the output is rounded, then the product.
            const float kept = to_float(to_element(output)) *
                               shared.mask[t % DEPTH][row * MASK_STRIDE + unit];
            shared.masked[t % 2][row * UNIT_STRIDE + unit] = to_factor(kept);
          }
#endif
          if (KEEP || layer == LAYERS - 1) {
            const long movie = static_cast<long>(t) * batch + block * ROWS + row;
            h[movie * UNITS + unit] = to_element(output);
          }
          sums[0][v] = i;
          sums[1][v] = f;
          sums[2][v] = g;
          sums[3][v] = o;
        }
#if KEEP
        const long step = (static_cast<long>(layer) * time + t) * (batch / ROWS) + block;
        FourFloats four;
        UNROLL
        for (int v = 0; v < 4; ++v) four.v[v] = cell[v];
        reinterpret_cast<FourFloats*>(cells + step * CELLS_OF_STEP)[32 * tile + lane] = four;
        UNROLL
        for (int gate = 0; gate < 4; ++gate) {
          FourElements kept;
          UNROLL
          for (int v = 0; v < 4; ++v) kept.v[v] = to_element(sums[gate][v]);
          FourElements* of_step = reinterpret_cast<FourElements*>(gates + step * GATES_OF_STEP);
          of_step[32 * (4 * tile + gate) + lane] = kept;
        }
#endif
      }
    }
    wait_for_copies<DEPTH - 2>();
    block_barrier();
  }
}

// --- Backward ---

struct BackwardShared {
  alignas(16) Element dh[DEPTH][ROWS * UNIT_STRIDE];
  alignas(16) Element gates[LAYERS][DEPTH][GATES_OF_STEP];
  alignas(16) float before[LAYERS][DEPTH][CELLS_OF_STEP];  // The cells of the step before.
  alignas(16) Element dz[LAYERS][2][ROWS * GATE_STRIDE];
#if LAYERS == 2
  FourFloats projected[2][TILES][32];  // The derivative of layer 0's outputs, from layer 1.
#if MASKED
  alignas(16) float mask[DEPTH][ROWS * MASK_STRIDE];
#endif
#endif
};

// Derivatives by what goes into the gates ("dz"), from those of the last layer's outputs ("dh").
//
// Args:
//   dh: [T, B, UNITS]; dz0, dz1: [T, B, GATES]; the others as `lstm_forward` takes and leaves them.
KERNEL(THREADS)
lstm_backward(
    const int* __restrict__ sizes, const Element* __restrict__ dh,
    const Element* __restrict__ gates, const float* __restrict__ cells,
    const Element* __restrict__ recurrent0,
#if LAYERS == 2
    const Element* __restrict__ input1, const Element* __restrict__ recurrent1,
#if MASKED
    const float* __restrict__ mask,
#endif
#endif
    Element* __restrict__ dz0
#if LAYERS == 2
    ,
    Element* __restrict__ dz1
#endif
) {
  BackwardShared& shared = *reinterpret_cast<BackwardShared*>(shared_memory);
  const Place place;
  const int time = sizes[0], batch = sizes[1], block = block_index();
  const int stage = place.stage, tile = place.tile, lane = place.lane;
  // Stage 0 is the last layer, 1 the way through its input kernel, 2 the layer before.
  const int layer = LAYERS - 1 - stage / 2;

  const Element* matrix = recurrent0;
#if LAYERS == 2
  if (stage == 0) matrix = recurrent1;
  if (stage == 1) matrix = input1;
#endif
  unsigned weights[K_STEPS][4][4];  // Of the products over all gates' units, by gate.
  UNROLL
  for (int k = 0; k < K_STEPS; ++k) {
    UNROLL
    for (int gate = 0; gate < 4; ++gate) {
      const Element* part = matrix + 16 * tile * GATES + gate * UNITS + k * K_STEP;
      read_a(weights[k][gate], part, GATES, 1, lane);
    }
  }

  auto step_of = [&](int t) {
    return (static_cast<long>(layer) * time + t) * (batch / ROWS) + block;
  };
  auto prefetch = [&](int t) {
    const int slot = (time - 1 - t) % DEPTH;
    if (t >= 0) {
      const long first = static_cast<long>(t) * batch + block * ROWS;
      if (stage == 0) copy_rows(shared.dh[slot], UNIT_STRIDE, dh + first * UNITS, UNITS, place.thread);
      if (stage == 1) {
#if LAYERS == 2 && MASKED
        copy_rows(shared.mask[slot], MASK_STRIDE, mask + first * UNITS, UNITS, place.thread);
#endif
      } else {
        const Element* of_step = gates + step_of(t) * GATES_OF_STEP;
        copy_block(shared.gates[layer][slot], of_step, GATES_OF_STEP, place.thread);
        if (t > 0) {
          const float* before = cells + step_of(t - 1) * CELLS_OF_STEP;
          copy_block(shared.before[layer][slot], before, CELLS_OF_STEP, place.thread);
        }
      }
    }
    end_copies();
  };

  Element* all_dz = shared.dz[0][0];
  for (int i = thread_index(); i < LAYERS * 2 * ROWS * GATE_STRIDE; i += THREADS) all_dz[i] = 0;
  for (int i = 0; i < DEPTH - 1; ++i) prefetch(time - 1 - i);
  float cell[4] = {0.0f, 0.0f, 0.0f, 0.0f}, dc[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  if (stage != 1) {
    const float* last = cells + step_of(time - 1) * CELLS_OF_STEP;
    const FourFloats four = reinterpret_cast<const FourFloats*>(last)[32 * tile + lane];
    UNROLL
    for (int v = 0; v < 4; ++v) cell[v] = four.v[v];
  }
  wait_for_copies<DEPTH - 2>();
  block_barrier();

  for (int turn = 0; turn < time + STAGES - 1; ++turn) {
    const int t = time - 1 - (turn - stage);
    if (t >= 0 && t < time) {
      prefetch(t - (DEPTH - 1));
      const int slot = (time - 1 - t) % DEPTH;
      float sums[4][4] = {};  // Four chains of products, not one.
#if LAYERS == 2
      const Element* source = stage == 1 ? shared.dz[1][t % 2] : shared.dz[layer][(t + 1) % 2];
#else
      const Element* source = shared.dz[0][(t + 1) % 2];
#endif
      UNROLL
      for (int k = 0; k < K_STEPS; ++k) {
        UNROLL
        for (int gate = 0; gate < 4; ++gate) {
          unsigned b0, b1;
          read_b(source + gate * UNITS, GATE_STRIDE, k, lane, b0, b1);
          multiply(sums[gate], weights[k][gate], b0, b1);
        }
      }
      float total[4];
      UNROLL
      for (int v = 0; v < 4; ++v) total[v] = (sums[0][v] + sums[1][v]) + (sums[2][v] + sums[3][v]);
      if (stage == 1) {
#if LAYERS == 2
        FourFloats part;
        UNROLL
        for (int v = 0; v < 4; ++v) {
          part.v[v] = total[v];
#if MASKED
          part.v[v] *= shared.mask[slot][place.row(v) * MASK_STRIDE + place.unit(v)];
#endif
        }
        shared.projected[t % 2][tile][lane] = part;
#endif
      } else {
#if LAYERS == 2
        Element* dz = layer == 0 ? dz0 : dz1;
#else
        Element* dz = dz0;
#endif
        FourFloats from_above = {};
#if LAYERS == 2
        if (stage == 2) from_above = shared.projected[t % 2][tile][lane];
#endif
        const FourElements* kept =
            reinterpret_cast<const FourElements*>(shared.gates[layer][slot]) + 128 * tile + lane;
        const FourElements i_four = kept[0], f_four = kept[32], g_four = kept[64], o_four = kept[96];
        FourFloats before = {};
        if (t > 0) {
          const float* cells_before = shared.before[layer][slot];
          before = reinterpret_cast<const FourFloats*>(cells_before)[32 * tile + lane];
        }
        UNROLL
        for (int v = 0; v < 4; ++v) {
          const int row = place.row(v), unit = place.unit(v);
          float dh_all = total[v] + from_above.v[v];
          if (stage == 0) dh_all += to_float(shared.dh[slot][row * UNIT_STRIDE + unit]);
          const float i = to_float(i_four.v[v]), f = to_float(f_four.v[v]);
          const float g = to_float(g_four.v[v]), o = to_float(o_four.v[v]);
          const float tanh_c = tanh_of(cell[v]);
          const float dc_all = dc[v] + dh_all * o * (1.0f - tanh_c * tanh_c);
          const float dz_of_gate[4] = {
              dc_all * g * i * (1.0f - i),
              dc_all * before.v[v] * f * (1.0f - f),
              dc_all * i * (1.0f - g * g),
              dh_all * tanh_c * o * (1.0f - o),
          };
          dc[v] = dc_all * f;
          cell[v] = before.v[v];
          const long movie = static_cast<long>(t) * batch + block * ROWS + row;
          UNROLL
          for (int gate = 0; gate < 4; ++gate) {
            const int column = gate * UNITS + unit;
            shared.dz[layer][t % 2][row * GATE_STRIDE + column] = to_factor(dz_of_gate[gate]);
            dz[movie * GATES + column] = to_element(dz_of_gate[gate]);
          }
        }
      }
    } else {
      end_copies();
    }
    wait_for_copies<DEPTH - 2>();
    block_barrier();
  }
}
