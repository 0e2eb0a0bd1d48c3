import Foundation

/// The processor under this process, as Linux tells it: what `ala` is built for, what BLAS kernel it can run, how many
/// threads it has room for.
public struct Processor: Sendable {
  /// "Intel(R) Xeon(R) Processor".
  public let name: String
  /// "GenuineIntel", "AuthenticAMD".
  public let vendor: String
  /// In Linux's spelling: "avx2", "avx512f".
  public let features: Set<String>

  /// What the program is built for (`Package.swift`), as far as our code uses it.
  public static let level = "x86-64-v3 (AVX2, FMA, F16C)"
  public static let floor = ["avx2", "fma", "f16c", "bmi2"]

  /// The first processor of a text in the form of `/proc/cpuinfo`; one without a line for it lacks nothing, for then
  /// nothing is known.
  public init(cpuinfo: String) {
    func value(_ key: String) -> Substring? {
      cpuinfo.split(separator: "\n").first { $0.hasPrefix(key) }?.split(separator: ":", maxSplits: 1).last
    }
    name = value("model name").map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
    vendor = value("vendor_id").map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
    features = Set((value("flags") ?? "").split(separator: " ").map(String.init))
  }

  public static let current = Processor(
    cpuinfo: (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "")

  /// What of the floor is missing.
  public var missing: [String] { features.isEmpty ? [] : Self.floor.filter { !features.contains($0) } }

  public func has(_ names: [String]) -> Bool { names.allSatisfy(features.contains) }

  /// The widest vectors that a BLAS kernel can use here.
  public var vectors: VectorLevel {
    if has(["avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"]) { return .avx512 }
    if has(["avx2", "fma"]) { return .avx2 }
    return features.contains("avx") ? .avx : .sse
  }

  /// Numbers of the processors that this process may run on: its affinity mask, as the kernel tells it.
  public static func affinity() -> Set<Int> { affinity(ofProcessAt: "/proc/self") }

  /// The same of another process; none where there is no such.
  public static func affinity(of process: Int32) -> Set<Int> { affinity(ofProcessAt: "/proc/\(process)") }

  private static func affinity(ofProcessAt place: String) -> Set<Int> {
    let status = (try? String(contentsOfFile: "\(place)/status", encoding: .utf8)) ?? ""
    let mask = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed:") }?.dropFirst(13)
    var numbers: Set<Int> = []
    for (place, digit) in (mask ?? "").compactMap(\.hexDigitValue).reversed().enumerated() {
      for bit in 0..<4 where digit >> bit & 1 == 1 { numbers.insert(4 * place + bit) }
    }
    return numbers
  }

  /// How many processors this process may run on.
  public static func available() -> Int {
    let count = affinity().count
    return count > 0 ? count : ProcessInfo.processInfo.activeProcessorCount
  }
}

/// Vector instruction sets, from narrow to wide.
public enum VectorLevel: Int, Comparable, Sendable {
  case sse, avx, avx2, avx512

  public static func < (one: VectorLevel, other: VectorLevel) -> Bool { one.rawValue < other.rawValue }

  public var name: String { ["SSE", "AVX", "AVX2", "AVX-512"][rawValue] }

  /// What an OpenBLAS kernel of x86-64 uses; nil for names that are not known here.
  public init?(kernel: String) {
    switch kernel.lowercased() {
    case "skylakex", "cooperlake", "sapphirerapids": self = .avx512
    case "haswell", "zen", "excavator": self = .avx2
    case "sandybridge", "bulldozer", "piledriver", "steamroller": self = .avx
    case "prescott", "core2", "penryn", "dunnington", "nehalem", "katmai", "coppermine", "northwood", "banias", "atom",
      "nano", "athlon", "opteron", "opteron_sse3", "bobcat", "barcelona":
      self = .sse
    default: return nil
    }
  }
}

/// What this process has cost its machine.
extension Processor {
  /// The most memory that the process has held at a time, in MiB.
  public static func peakMemory() -> Int {
    // getrusage's ru_maxrss would be that of the process which started this one, where that is larger.
    statusBytes("VmHWM:") >> 20
  }

  /// Memory that the process has to itself, whether it has touched it yet or not, in bytes: the kernel's VmData.
  public static func ownMemory() -> Int { statusBytes("VmData:") }

  /// What of it is touched, in bytes: the kernel's RssAnon.
  public static func touchedMemory() -> Int { statusBytes("RssAnon:") }

  private static func statusBytes(_ key: String) -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix(key) }
    return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
  }
}
