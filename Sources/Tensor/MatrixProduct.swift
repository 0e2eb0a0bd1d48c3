import COpenBLAS

// Matrix products on one thread, by OpenBLAS or oneDNN. All matrices are row-major.

/// Makes OpenBLAS run each product on the calling thread; the lanes bring the parallelism.
func useOneThreadPerProduct() { openblas_set_num_threads(1) }

/// The kernel that OpenBLAS chose, such as "SkylakeX"; part of a run's fingerprint, for bits differ between them.
public func blasKernel() -> String { String(cString: openblas_get_corename()) }

/// OpenBLAS's own description of its version and build.
public func blasConfiguration() -> String { String(cString: openblas_get_config()) }

/// How OpenBLAS was built; a sequential one may lack the locks that calls from several threads need.
public func blasThreading() -> String {
  switch openblas_get_parallel() {
  case 0: "sequential"
  case 1: "with threads"
  default: "with OpenMP"
  }
}

/// Y [m, n] = scale·X [m, k]·Wᵀ (W [n, k]) + beta·Y: the forward product of a linear map.
public func multiplyTransposed(
  _ y: Floats, _ x: ConstFloats, _ w: ConstFloats, m: Int, n: Int, k: Int,
  strideY: Int? = nil, strideX: Int? = nil, strideW: Int? = nil, scale: Float = 1, beta: Float = 0,
  by library: ProductLibrary = .current
) {
  profiled(.product) {
    guard m > 0, n > 0 else { return }
    ProductCount.note(.forward, m: m, n: n, k: k)
    multiply(
      by: library, y, strideY ?? n, GEMMOperand(x, strideX ?? k), GEMMOperand(w, strideW ?? k, isTransposed: true),
      rows: m, columns: n, depth: k, scale: scale, beta: beta)
  }
}

/// dX [m, k] = scale·dY [m, n]·W (W [n, k]) + beta·dX: the gradient that a linear map hands on.
public func multiply(
  _ dx: Floats, _ dy: ConstFloats, _ w: ConstFloats, m: Int, n: Int, k: Int,
  strideDX: Int? = nil, strideDY: Int? = nil, strideW: Int? = nil, scale: Float = 1, beta: Float = 0,
  by library: ProductLibrary = .current
) {
  profiled(.product) {
    guard m > 0, k > 0 else { return }
    ProductCount.note(.input, m: m, n: k, k: n)
    multiply(
      by: library, dx, strideDX ?? k, GEMMOperand(dy, strideDY ?? n), GEMMOperand(w, strideW ?? k),
      rows: m, columns: k, depth: n, scale: scale, beta: beta)
  }
}

/// dW [n, k] = scale·dYᵀ (dY [m, n])·X [m, k] + beta·dW: the gradient of a linear map's weight.
public func multiplyOuter(
  _ dw: Floats, _ dy: ConstFloats, _ x: ConstFloats, m: Int, n: Int, k: Int,
  strideDW: Int? = nil, strideDY: Int? = nil, strideX: Int? = nil, scale: Float = 1, beta: Float = 1,
  by library: ProductLibrary = .current
) {
  profiled(.product) {
    guard n > 0, k > 0 else { return }
    ProductCount.note(.weight, m: n, n: k, k: m)
    multiply(
      by: library, dw, strideDW ?? k, GEMMOperand(dy, strideDY ?? n, isTransposed: true),
      GEMMOperand(x, strideX ?? k), rows: n, columns: k, depth: m, scale: scale, beta: beta)
  }
}

/// A matrix as BLAS's GEMM takes it.
struct GEMMOperand {
  let values: ConstFloats
  /// Between the rows as they lie.
  let stride: Int
  let isTransposed: Bool

  init(_ values: ConstFloats, _ stride: Int, isTransposed: Bool = false) {
    (self.values, self.stride, self.isTransposed) = (values, stride, isTransposed)
  }
}

/// C [rows, columns] = scale·A [rows, depth]·B [depth, columns] + beta·C.
@inline(__always)
private func multiply(
  by library: ProductLibrary, _ c: Floats, _ strideC: Int, _ a: GEMMOperand, _ b: GEMMOperand, rows: Int, columns: Int,
  depth: Int, scale: Float, beta: Float
) {
  switch library {
  case .openblas:
    cblas_sgemm(
      CblasRowMajor, a.isTransposed ? CblasTrans : CblasNoTrans, b.isTransposed ? CblasTrans : CblasNoTrans,
      blasint(rows), blasint(columns), blasint(depth), scale, a.values, blasint(a.stride), b.values, blasint(b.stride),
      beta, c, blasint(strideC))
  case .onednn:
    multiplyByOneDNN(c, strideC, a, b, rows: rows, columns: columns, depth: depth, scale: scale, beta: beta)
  }
}
