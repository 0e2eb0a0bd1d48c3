#pragma once
#include <oneapi/dnnl/dnnl.h>

// Of GCC's OpenMP, on which Debian's oneDNN is built; its header is not where Swift's clang looks.
void omp_set_num_threads(int count);

// oneDNN's names for a primitive's operands, aliases of one another that Swift cannot import.
enum {
  ALA_DNNL_SOURCE = DNNL_ARG_SRC,
  ALA_DNNL_TARGET = DNNL_ARG_DST,
  ALA_DNNL_WEIGHT = DNNL_ARG_WEIGHTS,
  ALA_DNNL_BIAS = DNNL_ARG_BIAS,
  ALA_DNNL_SCRATCHPAD = DNNL_ARG_SCRATCHPAD,
  ALA_DNNL_FROM = DNNL_ARG_FROM,
  ALA_DNNL_TO = DNNL_ARG_TO,
};
