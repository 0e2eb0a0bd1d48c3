import Files
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
    HeldSignals.release()
    let isHeard =
      (try? secureProducts(threads: 1, limit: nil)) != nil
      && (try? StandardOutput.print("\(blasKernel()) \(productRate())")) != nil
    exit(isHeard ? 0 : 1)
  }

  /// - Parameters:
  ///   - probe: the `ala` program.
  ///   - environment: this process's.
  /// - Returns: nil where the child does not answer in time.
  public static func measure(probe: String, environment: [String: String]) -> UnforcedRate? {
    // The child chooses its kernel as if nobody had.
    let free = environment.filter { name, _ in
      ![BLASChoice.coreType, BLASChoice.cacheSize, BLASChoice.ownChoice].contains(name)
    }
    let child = ChildProcess.run(probe, [command], environment: free, seconds: seconds)
    guard child.ending == .exited(0) else { return nil }
    let words = String(decoding: child.output, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard words.count == 2, let rate = Double(words[1]) else { return nil }
    return UnforcedRate(kernel: String(words[0]), rate: rate)
  }
}
