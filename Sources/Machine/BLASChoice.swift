/// OpenBLAS picks its kernel when it is loaded, by the processor or by the environment. What was picked, and by whom.
public struct BLASChoice: Sendable {
  public static let coreType = "OPENBLAS_CORETYPE"
  public static let cacheSize = "OPENBLAS_L2_SIZE"
  /// Set beside `OPENBLAS_CORETYPE` where it was `ala` that chose, so that the choice is not taken for the user's.
  public static let ownChoice = "OPENBLAS_CORETYPE_IS_ALAS"
  /// What an OpenBLAS that does not know the processor takes: SSE3, several times slower.
  private static let fallback = "Prescott"

  /// "SkylakeX".
  public let kernel: String
  /// The variables by which the user overrides what OpenBLAS would choose.
  public let settings: [(name: String, value: String)]
  /// A kernel that the user has named and this OpenBLAS does not have, or not for this processor.
  public let ignored: String?
  /// OpenBLAS did not know the processor, and `ala` has named the kernel.
  public let isOwnChoice: Bool
  private let processor: Processor

  public init(kernel: String, environment: [String: String], processor: Processor = .current) {
    self.kernel = kernel
    self.processor = processor
    isOwnChoice = environment[Self.ownChoice] != nil
    let wanted = isOwnChoice ? nil : environment[Self.coreType]
    let isFollowed = wanted?.lowercased() == kernel.lowercased()
    ignored = isFollowed ? nil : wanted
    settings =
      (isFollowed ? [(Self.coreType, wanted ?? "")] : [])
      + (environment[Self.cacheSize].map { [(Self.cacheSize, $0)] } ?? [])
  }

  /// Whether the environment overrides what OpenBLAS would choose by itself.
  public var isForced: Bool { !settings.isEmpty }

  /// The kernel to start again with, where OpenBLAS has fallen back and the user has not chosen.
  public var better: String? {
    guard kernel == Self.fallback, !settings.contains(where: { $0.name == Self.coreType }), ignored == nil, !isOwnChoice
    else { return nil }
    switch processor.vectors {
    case .avx512: return "SkylakeX"
    case .avx2: return "Haswell"
    case .avx, .sse: return nil
    }
  }

  /// The kernel uses instructions that the processor lacks.
  public var isTooNew: Bool { VectorLevel(kernel: kernel).map { $0 > processor.vectors } ?? false }

  /// The processor could run a kernel with wider vectors.
  public var isNarrow: Bool { VectorLevel(kernel: kernel).map { $0 < processor.vectors } ?? false }

  /// "kernel Haswell (AVX2), forced by OPENBLAS_CORETYPE=Haswell, OPENBLAS_L2_SIZE=512; the processor has AVX-512".
  public var description: String {
    let level = VectorLevel(kernel: kernel).map { " (\($0.name))" } ?? ""
    var text = "kernel \(kernel)\(level)"
    if isForced { text += ", forced by " + settings.map { "\($0.name)=\($0.value)" }.joined(separator: ", ") }
    if let ignored { text += "; \(Self.coreType)=\(ignored) is no kernel of this OpenBLAS and has no effect" }
    if isOwnChoice { text += ", named by ala, for this OpenBLAS does not know the processor" }
    if isNarrow || isTooNew { text += "; the processor has \(processor.vectors.name)" }
    return text
  }
}
