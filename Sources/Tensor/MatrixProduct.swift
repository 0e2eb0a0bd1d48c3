import COpenBLAS
import CProducts
import Foundation

/// Matrix products on one thread: by this package's own AVX-512 kernel where the processor has it, by OpenBLAS
/// elsewhere. All matrices are row-major. The own kernel's bits do not depend on how many rows a product has.

/// Makes OpenBLAS run each product on the calling thread; the lanes bring the parallelism.
public func useOneThreadPerProduct() { openblas_set_num_threads(1) }

/// Whether the own kernel is used. `ALA_PRODUCTS=openblas` in the environment refuses it.
private let usesOwnKernel = ala_products_available() != 0 && ProcessInfo.processInfo.environment["ALA_PRODUCTS"] != "openblas"

/// What products are made by, such as "ala AVX-512"; part of a run's fingerprint, for bits differ between them.
public func productKernel() -> String { usesOwnKernel ? "ala AVX-512" : "OpenBLAS \(openBLASKernel())" }

/// The kernel that OpenBLAS chose, such as "SkylakeX".
public func openBLASKernel() -> String { String(cString: openblas_get_corename()) }

/// OpenBLAS's own description of its version and build.
public func blasConfiguration() -> String { String(cString: openblas_get_config()) }

/// Y [m, n] = X [m, k]·W, by OpenBLAS whatever else there is; W is [n, k] where transposed, else [k, n]. For measuring.
public func openBLASProduct(
  _ isTransposed: Bool, _ y: Floats, _ x: ConstFloats, _ w: ConstFloats, m: Int, n: Int, k: Int
) {
  cblas_sgemm(
    CblasRowMajor, CblasNoTrans, isTransposed ? CblasTrans : CblasNoTrans, blasint(m), blasint(n), blasint(k), 1, x,
    blasint(k), w, blasint(isTransposed ? k : n), 0, y, blasint(n))
}

/// A weight W [n, k] laid out for Y = X·Wᵀ. `update` must run whenever the weight has changed.
public final class PackedWeight: @unchecked Sendable {
  public let n: Int
  public let k: Int
  private let weight: ConstFloats
  private let memory: Floats?
  private let owned: Buffer?
  private var isPacked: Bool

  /// nil before the first `update`, and where the own kernel is not used.
  var panels: ConstFloats? { isPacked ? memory.map { ConstFloats($0) } : nil }

  /// The floats that panels of W [n, k] take.
  public static func count(n: Int, k: Int) -> Int {
    usesOwnKernel ? (n + Int(ALA_PANEL) - 1) / Int(ALA_PANEL) * Int(ALA_PANEL) * k : 0
  }

  /// - Parameters:
  ///   - panels: memory to pack into; nil makes its own.
  ///   - isPacked: whether the panels are there already.
  public init(_ weight: ConstFloats, n: Int, k: Int, panels: Floats? = nil, isPacked: Bool = false) {
    self.n = n
    self.k = k
    self.weight = weight
    self.isPacked = isPacked
    owned = panels == nil && usesOwnKernel ? Buffer(Self.count(n: n, k: k)) : nil
    memory = panels ?? owned?.base
  }

  public func update() {
    guard let memory else { return }
    ala_pack_transposed(weight, k, n, k, memory)
    isPacked = true
  }
}

/// Y [m, n] = scale·X [m, k]·Wᵀ (W [n, k]) + beta·Y, beta 0 or 1: the forward product of a linear map.
///
/// - Parameter packed: the same W, packed.
public func multiplyTransposed(
  _ y: Floats, _ x: ConstFloats, _ w: ConstFloats, packed: PackedWeight? = nil, m: Int, n: Int, k: Int,
  strideY: Int? = nil, strideX: Int? = nil, strideW: Int? = nil, scale: Float = 1, beta: Float = 0
) {
  guard m > 0, n > 0 else { return }
  if usesOwnKernel {
    let panels: ConstFloats
    if let packed = packed?.panels {
      panels = packed
    } else {
      let scratch = PackingScratch.take(PackedWeight.count(n: n, k: k))
      ala_pack_transposed(w, strideW ?? k, n, k, scratch)
      panels = ConstFloats(scratch)
    }
    let panel = Int(ALA_PANEL)
    ala_product(
      y, strideY ?? n, x, strideX ?? k, 1, panels, panel, panel * k, m, n, k, scale, beta == 0 ? 0 : 1)
    return
  }
  cblas_sgemm(
    CblasRowMajor, CblasNoTrans, CblasTrans, blasint(m), blasint(n), blasint(k), scale,
    x, blasint(strideX ?? k), w, blasint(strideW ?? k), beta, y, blasint(strideY ?? n))
}

/// dX [m, k] = scale·dY [m, n]·W (W [n, k]) + beta·dX, beta 0 or 1: the gradient that a linear map hands on.
public func multiply(
  _ dx: Floats, _ dy: ConstFloats, _ w: ConstFloats, m: Int, n: Int, k: Int,
  strideDX: Int? = nil, strideDY: Int? = nil, strideW: Int? = nil, scale: Float = 1, beta: Float = 0
) {
  guard m > 0, k > 0 else { return }
  if usesOwnKernel {
    ala_product(
      dx, strideDX ?? k, dy, strideDY ?? n, 1, w, strideW ?? k, Int(ALA_PANEL), m, k, n, scale, beta == 0 ? 0 : 1)
    return
  }
  cblas_sgemm(
    CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(m), blasint(k), blasint(n), scale,
    dy, blasint(strideDY ?? n), w, blasint(strideW ?? k), beta, dx, blasint(strideDX ?? k))
}

/// dW [n, k] = scale·dYᵀ (dY [m, n])·X [m, k] + beta·dW, beta 0 or 1: the gradient of a linear map's weight.
public func multiplyOuter(
  _ dw: Floats, _ dy: ConstFloats, _ x: ConstFloats, m: Int, n: Int, k: Int,
  strideDW: Int? = nil, strideDY: Int? = nil, strideX: Int? = nil, scale: Float = 1, beta: Float = 1
) {
  guard n > 0, k > 0 else { return }
  if usesOwnKernel {
    ala_product(
      dw, strideDW ?? k, dy, 1, strideDY ?? n, x, strideX ?? k, Int(ALA_PANEL), n, k, m, scale, beta == 0 ? 0 : 1)
    return
  }
  cblas_sgemm(
    CblasRowMajor, CblasTrans, CblasNoTrans, blasint(n), blasint(k), blasint(m), scale,
    dy, blasint(strideDY ?? n), x, blasint(strideX ?? k), beta, dw, blasint(strideDW ?? k))
}

/// A thread's memory for operands that are packed for one product; it grows to the largest and is kept.
private enum PackingScratch {
  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { memory in
      Unmanaged<Buffer>.fromOpaque(memory!).release()
    }
    return key
  }()

  static func take(_ count: Int) -> Floats {
    if let memory = pthread_getspecific(key) {
      let buffer = Unmanaged<Buffer>.fromOpaque(memory).takeUnretainedValue()
      if buffer.count >= count { return buffer.base }
      Unmanaged<Buffer>.fromOpaque(memory).release()
    }
    let buffer = Buffer(count)
    pthread_setspecific(key, Unmanaged.passRetained(buffer).toOpaque())
    return buffer.base
  }
}
