import Machine
import VectorKernels

/// The distance of rows that kernels take whole vectors from.
let vectorWidth = VectorKernels.vectorWidth

/// Whether the kernels of 512-bit vectors run, which give the same bits as the others, sooner.
let isWide = Processor.current.vectors >= .avx512
