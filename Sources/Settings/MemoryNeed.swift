import Failures
import Foundation
import Machine

/// Memory that a setting calls for: never more than is really taken, so that what is refused could not have run.
public struct MemoryNeed: Equatable, Sendable {
  public let key: String
  /// What needs it: "the side branch's tensors".
  public let what: String
  public let bytes: Double

  public init(_ key: String, _ what: String, bytes: Double) {
    (self.key, self.what, self.bytes) = (key, what, bytes)
  }
}

extension Configuration {
  /// What the settings alone tell, without data and encoder.
  ///
  /// - Parameters:
  ///   - isTraining: whether gradients and two moments are held beside the weights, and a batch's samples.
  ///   - share: the part of a batch that this machine's ranks hold.
  public func memoryNeeds(isTraining: Bool, share: Double) -> [MemoryNeed] {
    let copies = isTraining ? 4.0 : 1
    func tensors(_ count: Double) -> Double { 4 * count * copies }
    func convolutions(_ channels: [Int]) -> Double {
      zip(channels, channels.dropFirst()).reduce(0) { $0 + 9 * Double($1.0) * Double($1.1) }
    }
    var needs: [MemoryNeed] = []
    if model.kind == "lattice" {
      // q, k, v and the output d x d, the MLP's two maps d x 4d.
      let width = Double(side.width)
      needs.append(
        MemoryNeed(
          "side.width", "the side branch's tensors", bytes: tensors(12 * width * width * Double(side.layers))))
    }
    if ["lattice", "abn"].contains(model.kind) {
      needs.append(
        MemoryNeed(
          "perception.channels", "the perception branch's tensors",
          bytes: tensors(convolutions(perception.channels))))
    }
    if model.kind == "fcam" {
      let widths = fcam.widths.map { 9 * Double($0) * Double($0) }.reduce(0, +)
      needs.append(
        MemoryNeed("fcam.widths", "the decoder's tensors", bytes: tensors(widths + convolutions(fcam.widths))))
    }
    if isTraining {
      // A sample's pixels as they are, and as the encoder takes them.
      let sample = 3 * Double(image.size) * Double(image.size) * (1 + 4)
      needs.append(
        MemoryNeed("training.batch", "the pixels of a batch", bytes: sample * Double(training.batch) * share))
    }
    return needs
  }

  /// The failure of the first need that is above the machine's memory; nil where none is.
  ///
  /// - Parameter memory: in bytes.
  public func excess(_ needs: [MemoryNeed], memory: Double = MachineMemory.bytes) -> Failure? {
    guard let need = needs.first(where: { $0.bytes > memory }) else { return nil }
    return .badConfiguration(
      "\(need.key) is \(yaml(need.key)): \(need.what) need at least \(Self.amount(need.bytes)), and this machine has "
        + "\(Self.amount(memory)) of memory; choose a smaller value")
  }

  private static func amount(_ bytes: Double) -> String {
    String(format: "%.0f bytes (%.1f GiB)", bytes, bytes / Double(1 << 30))
  }
}
