#if BFloat16
  import COneDNN
#endif

/// The oneDNN that this program is linked with, and what it makes of this processor.
public struct OneDNNVersion: Equatable, Sendable {
  public enum Instructions: String, Sendable {
    case sse41 = "SSE4.1"
    case avx = "AVX"
    case avx2 = "AVX2"
    case avx512 = "AVX-512"
  }

  public let major: Int
  public let minor: Int
  public let patch: Int
  /// The widest that its float32 code uses here: what the processor has, or `DNNL_MAX_CPU_ISA` allows.
  public let instructions: Instructions

  public init(major: Int, minor: Int, patch: Int, instructions: Instructions) {
    (self.major, self.minor, self.patch) = (major, minor, patch)
    self.instructions = instructions
  }

  /// "oneDNN 2.6.3 (AVX-512)": part of a run's fingerprint, for bits differ between instruction sets.
  public var description: String { "oneDNN \(major).\(minor).\(patch) (\(instructions.rawValue))" }

  /// nil where the package is built without its trait BFloat16, which brings oneDNN.
  public static let linked: OneDNNVersion? = {
    #if BFloat16
      let version = dnnl_version().pointee
      let known = dnnl_get_effective_cpu_isa().rawValue
      let sets: [(dnnl_cpu_isa_t, Instructions)] = [
        (dnnl_cpu_isa_avx512_core, .avx512), (dnnl_cpu_isa_avx2, .avx2), (dnnl_cpu_isa_avx, .avx),
      ]
      let widest = sets.first { known & $0.0.rawValue == $0.0.rawValue }?.1 ?? .sse41
      return OneDNNVersion(
        major: Int(version.major), minor: Int(version.minor), patch: Int(version.patch), instructions: widest)
    #else
      return nil
    #endif
  }()
}
