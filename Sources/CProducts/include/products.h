#pragma once

// Matrix products of one thread by AVX-512, for what OpenBLAS does less well: many products of some two hundred rows
// with the same weights, which are packed once. Swift builds for x86-64-v3, so that only C can hold the wider code that
// is chosen at run time.
//
// Every element of a result is one chain of fused multiply-adds over the depth in rising order, however many rows or
// columns there are beside it: its bits depend on nothing but its own row and column.

// Columns of a panel.
#define ALA_PANEL 32

// Whether this processor and system have AVX-512F.
int ala_products_available(void);

// Packs W [n, k], rows `stride` apart, for products with its transpose: ⌈n/32⌉ panels [k, 32], missing columns zero.
void ala_pack_transposed(const float *w, long stride, long n, long k, float *panels);

// C [m, n] = alpha·A·B, or += where `adds`. A's element (i, p) is a[i·a_row + p·a_depth]. B's row p of panel j begins at
// b + j·b_panel + p·b_depth, with its columns side by side; columns beyond n are never read.
void ala_product(
    float *c, long c_row, const float *a, long a_row, long a_depth, const float *b, long b_depth, long b_panel, long m,
    long n, long k, float alpha, int adds);
