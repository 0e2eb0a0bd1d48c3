import Foundation
import Machine
import Tensor

/// What a forced BLAS kernel costs: the rate of this program started again without the variables that force it.
public struct UnforcedRate: Sendable {
  /// The hidden command under which `ala` measures and ends.
  public static let command = "probe-blas"
  private static let seconds = 20.0

  public let kernel: String
  /// In GFLOP/s, one thread.
  public let rate: Double

  package init(kernel: String, rate: Double) {
    (self.kernel, self.rate) = (kernel, rate)
  }

  /// In the child: prints kernel and rate, and ends the process.
  public static func answer() -> Never {
    useOneThreadPerProduct()
    print("\(blasKernel()) \(productRate())")
    exit(0)
  }

  /// - Parameters:
  ///   - probe: the `ala` program.
  ///   - environment: this process's.
  /// - Returns: nil where the child does not answer in time.
  public static func measure(probe: String, environment: [String: String]) -> UnforcedRate? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: probe)
    process.arguments = [command]
    // The child is no rank of the run, and chooses its kernel as if nobody had.
    process.environment = environment.filter { name, _ in
      ![BLASChoice.coreType, BLASChoice.cacheSize, BLASChoice.ownChoice].contains(name)
        && !["OMPI_", "PMIX_", "PMI_"].contains { name.hasPrefix($0) }
    }
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return nil }
    let limit = Date().addingTimeInterval(seconds)
    while process.isRunning {
      if Date() > limit {
        kill(process.processIdentifier, SIGKILL)
        return nil
      }
      usleep(5_000)
    }
    let words = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      .split(whereSeparator: \.isWhitespace)
    guard process.terminationStatus == 0, words.count == 2, let rate = Double(words[1]) else { return nil }
    return UnforcedRate(kernel: String(words[0]), rate: rate)
  }
}
