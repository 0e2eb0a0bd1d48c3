#include "products.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define WIDE __attribute__((target("avx512f")))
// 28 sums, 2 columns and 1 row factor fill the 32 registers.
#define MOST_ROWS 14

int ala_products_available(void) { return __builtin_cpu_supports("avx512f") != 0; }

typedef struct {
  const float *a, *b;
  float *c;
  long a_row, a_depth, b_depth, c_row, depth;
  float alpha;
  int adds;
  __mmask16 low, high;
} Tile;

// The body for a number of rows that the compiler knows, so that all sums stay in registers.
static inline WIDE __attribute__((always_inline)) void tile(const Tile *t, const int rows) {
  __m512 low[MOST_ROWS], high[MOST_ROWS];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) low[i] = high[i] = _mm512_setzero_ps();
  const float *a = t->a, *b = t->b;
  const long a_row = t->a_row, a_depth = t->a_depth, b_depth = t->b_depth;
  const __mmask16 mask_low = t->low, mask_high = t->high;
  for (long p = 0; p < t->depth; p++) {
    const __m512 b_low = _mm512_maskz_loadu_ps(mask_low, b), b_high = _mm512_maskz_loadu_ps(mask_high, b + 16);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      const __m512 x = _mm512_set1_ps(a[i * a_row]);
      low[i] = _mm512_fmadd_ps(x, b_low, low[i]);
      high[i] = _mm512_fmadd_ps(x, b_high, high[i]);
    }
    a += a_depth;
    b += b_depth;
  }
  const __m512 alpha = _mm512_set1_ps(t->alpha);
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
    float *c = t->c + i * t->c_row;
    __m512 first = _mm512_mul_ps(alpha, low[i]), second = _mm512_mul_ps(alpha, high[i]);
    if (t->adds) {
      first = _mm512_add_ps(first, _mm512_maskz_loadu_ps(mask_low, c));
      second = _mm512_add_ps(second, _mm512_maskz_loadu_ps(mask_high, c + 16));
    }
    _mm512_mask_storeu_ps(c, mask_low, first);
    _mm512_mask_storeu_ps(c + 16, mask_high, second);
  }
}

static WIDE void run(const Tile *t, long rows) {
  switch (rows) {
    case 1: tile(t, 1); break;
    case 2: tile(t, 2); break;
    case 3: tile(t, 3); break;
    case 4: tile(t, 4); break;
    case 5: tile(t, 5); break;
    case 6: tile(t, 6); break;
    case 7: tile(t, 7); break;
    case 8: tile(t, 8); break;
    case 9: tile(t, 9); break;
    case 10: tile(t, 10); break;
    case 11: tile(t, 11); break;
    case 12: tile(t, 12); break;
    case 13: tile(t, 13); break;
    default: tile(t, 14); break;
  }
}

static __mmask16 mask(long columns) { return columns <= 0 ? 0 : columns >= 16 ? 0xFFFF : (__mmask16)((1 << columns) - 1); }

WIDE void ala_product(
    float *c, long c_row, const float *a, long a_row, long a_depth, const float *b, long b_depth, long b_panel, long m,
    long n, long k, float alpha, int adds) {
  // Tiles of nearly equal height: a last one of a single row would cost as much as a whole one.
  const long tiles = (m + MOST_ROWS - 1) / MOST_ROWS;
  Tile t = {.a_row = a_row, .a_depth = a_depth, .b_depth = b_depth, .c_row = c_row, .depth = k, .alpha = alpha, .adds = adds};
  for (long j = 0; j < n; j += ALA_PANEL) {
    t.low = mask(n - j);
    t.high = mask(n - j - 16);
    t.b = b + j / ALA_PANEL * b_panel;
    for (long i = 0; i < tiles; i++) {
      const long first = i * m / tiles;
      t.a = a + first * a_row;
      t.c = c + first * c_row + j;
      run(&t, (i + 1) * m / tiles - first);
    }
  }
}

// Transposes 16 rows of 16, `stride` apart, into rows `ALA_PANEL` apart.
static WIDE void transpose(const float *w, long stride, float *out) {
  __m512 r[16], t[16];
  for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(w + i * stride);
  for (int i = 0; i < 8; i++) {
    t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 4; i++) {
    const __m512d a = _mm512_castps_pd(t[4 * i]), b = _mm512_castps_pd(t[4 * i + 1]);
    const __m512d c = _mm512_castps_pd(t[4 * i + 2]), d = _mm512_castps_pd(t[4 * i + 3]);
    r[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    r[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    r[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    r[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
  }
  for (int i = 0; i < 4; i++) {
    const __m512 a = _mm512_shuffle_f32x4(r[i], r[4 + i], 0x88), b = _mm512_shuffle_f32x4(r[i], r[4 + i], 0xDD);
    const __m512 c = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0x88), d = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0xDD);
    _mm512_storeu_ps(out + i * ALA_PANEL, _mm512_shuffle_f32x4(a, c, 0x88));
    _mm512_storeu_ps(out + (8 + i) * ALA_PANEL, _mm512_shuffle_f32x4(a, c, 0xDD));
    _mm512_storeu_ps(out + (4 + i) * ALA_PANEL, _mm512_shuffle_f32x4(b, d, 0x88));
    _mm512_storeu_ps(out + (12 + i) * ALA_PANEL, _mm512_shuffle_f32x4(b, d, 0xDD));
  }
}

WIDE void ala_pack_transposed(const float *w, long stride, long n, long k, float *panels) {
  for (long j = 0; j < n; j += 16) {
    float *out = panels + j / ALA_PANEL * ALA_PANEL * k + j % ALA_PANEL;
    for (long p = 0; p < k; p += 16) {
      if (j + 16 <= n && p + 16 <= k) {
        transpose(w + j * stride + p, stride, out + p * ALA_PANEL);
      } else {
        for (long q = p; q < k && q < p + 16; q++) {
          for (long i = 0; i < 16; i++) out[q * ALA_PANEL + i] = j + i < n ? w[(j + i) * stride + q] : 0;
        }
      }
    }
  }
}

#else

int ala_products_available(void) { return 0; }
void ala_pack_transposed(const float *w, long stride, long n, long k, float *panels) {}
void ala_product(
    float *c, long c_row, const float *a, long a_row, long a_depth, const float *b, long b_depth, long b_panel, long m,
    long n, long k, float alpha, int adds) {}

#endif
