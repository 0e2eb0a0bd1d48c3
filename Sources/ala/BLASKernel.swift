import Foundation
import Tensor

/// OpenBLAS picks its kernel when it is loaded, and an OpenBLAS older than the processor falls back to one for SSE3,
/// several times slower. The choice can only be made through the environment, so the program starts itself again.
enum BLASKernel {
  private static let variable = "OPENBLAS_CORETYPE"
  private static let fallback = "Prescott"

  /// Returns where the kernel is right already or has been chosen by the user; else does not return.
  static func choose() {
    guard getenv(variable) == nil, blasKernel() == fallback, let better else { return }
    setenv(variable, better, 1)
    var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) }
    arguments.append(nil)
    execv(Program.path, &arguments)
  }

  /// The kernel for what the processor says that it can do.
  private static var better: String? {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let flags = text.split(separator: "\n").first { $0.hasPrefix("flags") }?.split(separator: " ") ?? []
    func has(_ names: [String]) -> Bool { names.allSatisfy { name in flags.contains { $0 == name } } }
    if has(["avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"]) { return "SkylakeX" }
    return has(["avx2", "fma"]) ? "Haswell" : nil
  }
}
