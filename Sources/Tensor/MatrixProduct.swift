import COpenBLAS

// Matrix products on one thread, by OpenBLAS. All matrices are row-major.

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
  strideY: Int? = nil, strideX: Int? = nil, strideW: Int? = nil, scale: Float = 1, beta: Float = 0
) {
  profiled(.product) {
    guard m > 0, n > 0 else { return }
    ProductCount.note(.forward, m: m, n: n, k: k)
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasTrans, blasint(m), blasint(n), blasint(k), scale,
      x, blasint(strideX ?? k), w, blasint(strideW ?? k), beta, y, blasint(strideY ?? n))
  }
}

/// dX [m, k] = scale·dY [m, n]·W (W [n, k]) + beta·dX: the gradient that a linear map hands on.
public func multiply(
  _ dx: Floats, _ dy: ConstFloats, _ w: ConstFloats, m: Int, n: Int, k: Int,
  strideDX: Int? = nil, strideDY: Int? = nil, strideW: Int? = nil, scale: Float = 1, beta: Float = 0
) {
  profiled(.product) {
    guard m > 0, k > 0 else { return }
    ProductCount.note(.input, m: m, n: k, k: n)
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(m), blasint(k), blasint(n), scale,
      dy, blasint(strideDY ?? n), w, blasint(strideW ?? k), beta, dx, blasint(strideDX ?? k))
  }
}

/// dW [n, k] = scale·dYᵀ (dY [m, n])·X [m, k] + beta·dW: the gradient of a linear map's weight.
public func multiplyOuter(
  _ dw: Floats, _ dy: ConstFloats, _ x: ConstFloats, m: Int, n: Int, k: Int,
  strideDW: Int? = nil, strideDY: Int? = nil, strideX: Int? = nil, scale: Float = 1, beta: Float = 1
) {
  profiled(.product) {
    guard n > 0, k > 0 else { return }
    ProductCount.note(.weight, m: n, n: k, k: m)
    cblas_sgemm(
      CblasRowMajor, CblasTrans, CblasNoTrans, blasint(n), blasint(k), blasint(m), scale,
      dy, blasint(strideDY ?? n), x, blasint(strideX ?? k), beta, dw, blasint(strideDW ?? k))
  }
}
