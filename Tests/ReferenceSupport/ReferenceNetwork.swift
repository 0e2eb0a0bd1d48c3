import Foundation
import Lanes
import Networks
import Tensor
import TestSupport
import Testing

/// A network with the tensors and images of a reference that a script in `scripts/fixtures` has made.
public protocol ReferenceNetwork {
  /// Holds `settings`, `labels` [B], `pixels` [B, S, S, 3] and the initial tensors, below `init/`.
  var fixture: Fixture { get }
  var reference: ReferenceSettings { get }
  var labels: [Int] { get }
  var trained: any Network { get }
}

/// A reference's settings; what is missing is 0, empty or none.
public struct ReferenceSettings {
  private let values: [String: Any]

  public init(_ fixture: Fixture) throws { values = try fixture.json("settings") }

  public func integer(_ key: String) -> Int { values[key] as? Int ?? 0 }
  public func number(_ key: String) -> Double { (values[key] as? NSNumber)?.doubleValue ?? 0 }
  public func text(_ key: String) -> String { values[key] as? String ?? "" }
  public func integers(_ key: String) -> [Int] { values[key] as? [Int] ?? [] }
  public func numbers(_ key: String) -> [Double] { (values[key] as? [NSNumber] ?? []).map(\.doubleValue) }
  public func flag(_ key: String) -> Bool? { values[key] as? Bool }
}

extension ReferenceNetwork {
  /// Sets the network's tensors to the reference's, and expects neither to have others.
  public func takeInitialTensors() throws {
    let store = trained.parameters
    for parameter in store.parameters {
      #expect(try fixture.shape("init/\(parameter.name)") == parameter.shape, "\(parameter.name)")
      store.set(parameter, fromFile: try fixture.floats("init/\(parameter.name)"))
    }
    for statistic in store.statistics {
      for (index, value) in try fixture.floats("init/\(statistic.name)").enumerated() {
        statistic.values[index] = value
      }
    }
    #expect(fixture.names(below: "init/").count == store.parameters.count + store.statistics.count)
  }

  /// Puts the patches of an image in their place.
  public func patchify(_ sample: Int, _ patches: Floats) throws {
    let pixels = try fixture.bytes("pixels")
    let size = pixels.count / labels.count
    pixels.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { trained.encoder.patchify(patches, pixels: base + sample * size) }
    }
  }

  /// Puts all images into a pass.
  public func load(_ pass: any NetworkPass) throws {
    pass.begin(batch: labels.count)
    for (index, label) in labels.enumerated() {
      try patchify(index, pass.patches(index))
      pass.set(index, label: label, input: .pixels)
    }
  }

  public func makePass(threads: Int = 1) -> any NetworkPass {
    trained.makePass(
      LanePlan(batch: labels.count, lanes: trained.lanes, world: 1, rank: 0), team: ThreadTeam(threads: threads),
      exchange: AllLanesHere())
  }
}
