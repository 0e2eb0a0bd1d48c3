import Foundation
import Machine
import Tensor

/// Processor and BLAS.

package func checkProcessor(_ processor: Processor) -> Finding {
  let floor = "built for \(Processor.level)"
  guard processor.missing.isEmpty else {
    return .problem(
      "processor", "\(processor.name): lacks \(processor.missing.joined(separator: ", ")); ala is \(floor)",
      "run on a newer processor")
  }
  let known = [
    ("avx2", "AVX2"), ("fma", "FMA"), ("f16c", "F16C"), ("avx512f", "AVX-512"), ("avx512_bf16", "AVX512-BF16"),
    ("amx_tile", "AMX"),
  ]
  let present = known.filter { processor.features.contains($0.0) }.map(\.1)
  let absent = known.filter { !processor.features.contains($0.0) }.map(\.1)
  return .ok(
    "processor",
    "\(processor.name): has \(present.joined(separator: ", "))"
      + (absent.isEmpty ? "" : ", not \(absent.joined(separator: ", "))") + "; \(floor)")
}

/// - Parameter unforced: measures what the kernel would reach that is not forced; called only where one is.
package func checkBLAS(_ choice: BLASChoice, rate: () -> Double, unforced: () -> UnforcedRate?) -> Finding {
  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH …"
  let version = blasConfiguration().split(separator: " ").prefix(2).joined(separator: " ")
  var text = "\(version), \(choice.description)"
  let variables = ([choice.ignored.map { _ in BLASChoice.coreType }].compactMap { $0 } + choice.settings.map(\.name))
    .joined(separator: " ")
  guard !choice.isTooNew else {
    return .problem("blas", text, "unset \(variables.isEmpty ? "what chose this kernel" : variables)")
  }
  let own = rate()
  text += String(format: "; %.0f GFLOP/s a thread", own)
  guard choice.isForced || choice.ignored != nil || choice.isNarrow else { return .ok("blas", text) }
  guard choice.isForced || choice.ignored != nil else {
    return .note("blas", text, "a newer OpenBLAS may know this processor")
  }
  if choice.isForced, let free = unforced() {
    text += String(
      format: "; unforced, kernel %@ reaches %.0f, %.2f times as much", free.kernel, free.rate, free.rate / own)
  }
  return .note("blas", text, "unset \(variables)")
}

/// Takes the working memory that products need, before the first of them.
func checkProductMemory(threads: Int) -> Finding {
  let limit = MemoryLimit.ofAddressSpace()
  do {
    try secureProducts(threads: threads, limit: limit?.description)
  } catch {
    return .problem("blas-memory", "\(error)", "ulimit -v unlimited")
  }
  let ready = "working memory for \(threads) threads in products"
  return limit.map { .note("blas-memory", "\(ready); \($0.description)", "raise the limit where a run says so") }
    ?? .ok("blas-memory", ready)
}

/// The checks of OpenBLAS bear the plain words.
private func word(_ check: String, _ library: ProductLibrary) -> String {
  library == .openblas ? check : "\(check)-\(library.rawValue)"
}

package func checkProducts(_ result: ProductTestResult, by library: ProductLibrary = .openblas) -> Finding {
  let check = word("products", library)
  let count = "\(result.products) products of many shapes from \(result.threads) threads at once"
  if let first = result.wrongAlone.first {
    return .problem(
      check, "\(result.wrongAlone.count) shapes are wrong beyond rounding even alone, the first \(first)",
      library == .openblas
        ? "install another OpenBLAS, or choose a kernel by OPENBLAS_CORETYPE" : "use run.products: openblas")
  }
  if let first = result.wrongTogether.first {
    let wrong = result.wrongTogether.reduce(0) { $0 + $1.count }
    return .problem(
      check, "\(wrong) of \(count) differ from what one thread gets, the first \(first.name)",
      library == .openblas
        ? "install an OpenBLAS that is built with threads or USE_LOCKING (OpenMathLib/OpenBLAS#1755, #2126), or use --threads 1"
        : "use run.products: openblas, or --threads 1")
  }
  let build = library == .openblas ? "OpenBLAS built \(blasThreading())" : library.description
  return .ok(check, "\(count): right, and the bits of one thread (\(build))")
}

package func checkRows(_ share: Double, by library: ProductLibrary = .openblas) -> Finding {
  let check = word("rows", library)
  guard share > 0 else { return .ok(check, "a row's bits do not depend on the number of rows (197 and 394)") }
  return .note(
    check,
    String(
      format:
        "%.1f%% of a row's elements change bits between 197 and 394 rows; no result depends on it, for products are made sample by sample",
      share * 100))
}
