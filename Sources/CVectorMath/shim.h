#ifndef ALA_VECTOR_MATH_H
#define ALA_VECTOR_MATH_H

typedef float ala_float16 __attribute__((ext_vector_type(16)));

/// The square roots of sixteen values, in the processor's vectors.
static inline ala_float16 ala_square_root(ala_float16 x) { return __builtin_elementwise_sqrt(x); }

#endif
