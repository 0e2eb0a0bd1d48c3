import Failures

// Which library makes the products in float32, of those that this program is linked with (docs/products.md).

public enum ProductLibrary: String, CaseIterable, Sendable {
  case openblas
  case onednn

  /// What makes a product where its caller names no library. Set by `secureProducts`, before there are threads.
  public internal(set) nonisolated(unsafe) static var current = ProductLibrary.openblas

  /// Those that this program is linked with.
  public static var linked: [ProductLibrary] { OneDNNVersion.linked == nil ? [.openblas] : allCases }

  /// "OpenBLAS, kernel SkylakeX", "oneDNN 2.6.3 (AVX-512)".
  public var description: String {
    switch self {
    case .openblas: "OpenBLAS, kernel \(blasKernel())"
    case .onednn: OneDNNVersion.linked?.description ?? "oneDNN"
    }
  }

  /// - Parameter reason: what asks for it, such as "run.products is onednn".
  /// - Throws: `Failure` 78 where this program is not linked with it.
  public func requireLinked(_ reason: String) throws {
    guard !Self.linked.contains(self) else { return }
    throw Failure.badConfiguration(
      "\(reason), but this ala was built without oneDNN: install Debian's libdnnl-dev and build with `swift build -c "
        + "release --traits BFloat16`, or use openblas")
  }

  /// Where oneDNN was measured to be the faster, by the processor's maker; what was not measured is OpenBLAS's. Never a
  /// timing, for a run gives the same bits tomorrow.
  private static let measured = [
    (vendor: "AuthenticAMD", instructions: OneDNNVersion.Instructions.avx512, version: (2, 6)),
    (vendor: "GenuineIntel", instructions: OneDNNVersion.Instructions.avx512, version: (2, 6)),
  ]

  /// What `run.products: auto` takes.
  ///
  /// - Parameters:
  ///   - vendor: as `/proc/cpuinfo` names it.
  ///   - oneDNN: nil where there is none.
  public static func automatic(vendor: String, oneDNN: OneDNNVersion?) -> ProductLibrary {
    guard let oneDNN else { return .openblas }
    let isMeasured = measured.contains {
      $0.vendor == vendor && $0.instructions == oneDNN.instructions && $0.version == (oneDNN.major, oneDNN.minor)
    }
    return isMeasured ? .onednn : .openblas
  }
}
