import Encoder
import Foundation
import Metrics
import Networks
import Settings
import Tensor

/// What stands for a pixel that a RISE mask takes away.
public enum RISEAbsent: String, CaseIterable, Sendable {
  /// 0 after normalisation, as RISE's own code has it.
  case normalisedZero = "normalised_zero"
  case zero
  case mean
  case blur

  /// nil: 0 after normalisation.
  var substrate: Substrate? { Substrate(rawValue: rawValue) }
}

/// RISE (Petsiuk, Das, Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018):
/// Σ p_c(x ⊙ m)·m / (N·p) over N random masks m, p_c the whole network's probability of the class. Not rescaled.
public struct RISE: ExplanationMethod {
  public let facts = MethodFacts(
    name: "rise", title: "RISE", source: "Petsiuk, Das, Saenko, BMVC 2018", isRandom: true)

  public init() {}

  public func passes(_ configuration: Configuration) -> Int { configuration.rise.masks }

  public func settings(_ configuration: Configuration) -> [String: String] {
    let own = configuration.rise
    return [
      "rise.masks": "\(own.masks)", "rise.cells": "\(own.cells)", "rise.keep": "\(own.keep)",
      "rise.absent": own.absent, "rise.settle": own.settle.map { "\($0)" } ?? "null",
    ]
  }

  public func prepare(_ subject: ExplainedModel) -> @Sendable (any NetworkInference) -> any MapWorker {
    let encoder = subject.network.encoder
    let settings = subject.configuration.rise
    let masks = RISEMasks(
      side: encoder.grid * encoder.patch, cells: settings.cells, keep: settings.keep,
      seed: subject.configuration.run.seed)
    return { Worker($0, encoder, masks, settings) }
  }

  final class Worker: PartwiseWorker {
    /// Masks of a part.
    private static let masksPerPart = 10
    /// After how many masks `rise.settle` looks first; then after twice as many, and so on.
    private static let firstLook = 250

    private let inference: any NetworkInference
    private let encoder: ImageEncoder
    private let masks: RISEMasks
    private let settings: Configuration.RISE

    init(
      _ inference: any NetworkInference, _ encoder: ImageEncoder, _ masks: RISEMasks, _ settings: Configuration.RISE
    ) {
      self.inference = inference
      self.encoder = encoder
      self.masks = masks
      self.settings = settings
    }

    var side: Int { masks.side }

    var mostParts: Int { Self.parts(settings.masks) }

    private static func parts(_ masks: Int) -> Int { (masks + masksPerPart - 1) / masksPerPart }

    private func masks(ofPart index: Int) -> Range<Int> {
      (index * Self.masksPerPart)..<min((index + 1) * Self.masksPerPart, settings.masks)
    }

    func partsWanted(after done: [[Float]], of view: ExplainedView) -> Int {
      guard let settle = settings.settle else { return mostParts }
      var look = Self.firstLook
      while Self.parts(look) <= done.count, look < settings.masks { look *= 2 }
      guard !done.isEmpty, done.count < mostParts else { return Self.parts(min(look, settings.masks)) }
      let (even, odd) = halves(done)
      return pearson(even, odd) >= settle ? done.count : Self.parts(min(look, settings.masks))
    }

    /// The class's probability for each mask of the part.
    func part(_ index: Int, of view: ExplainedView, target: Int) -> [Float] {
      let count = encoder.patchCount * encoder.patchValues
      let (seen, absent) = (Buffer(count), Buffer(count))
      view.pixels.withUnsafeBufferPointer { pixels in
        if let base = pixels.baseAddress { encoder.patchify(seen.base, pixels: base) }
      }
      if let substrate = RISEAbsent(setting: settings.absent).substrate {
        let levels = substrate.levels(of: view.pixels, side: side, means: encoder.mean.map { $0 * 255 })
        levels.withUnsafeBufferPointer { levels in
          if let base = levels.baseAddress { encoder.patchify(absent.base, pixels: base) }
        }
      }
      return masks(ofPart: index).map { number in
        show(masks.mask(number), seen.base, absent.base)
        inference.run(.pixels)
        return inference.probabilities()[target]
      }
    }

    /// Puts absent + (seen − absent)·m where the network reads its patches.
    private func show(_ mask: [Float], _ seen: ConstFloats, _ absent: ConstFloats) {
      let (p, g) = (encoder.patch, encoder.grid)
      let patches = inference.patches
      mask.withUnsafeBufferPointer { mask in
        for patch in 0..<(g * g) {
          let (row, column) = patch.quotientAndRemainder(dividingBy: g)
          for channel in 0..<3 {
            for y in 0..<p {
              let place = patch * encoder.patchValues + (channel * p + y) * p
              let first = (row * p + y) * side + column * p
              for x in 0..<p {
                let gone = absent[place + x]
                patches[place + x] = gone + (seen[place + x] - gone) * mask[first + x]
              }
            }
          }
        }
      }
    }

    func merge(_ parts: [[Float]], of view: ExplainedView, target: Int) -> ExplanationMap {
      let (even, odd) = halves(parts)
      let used = parts.reduce(0) { $0 + $1.count }
      let scale = Double(used) * settings.keep
      var notes = ["masks": Double(used)]
      if used > 1 { notes["split_half"] = pearson(even, odd) }
      return ExplanationMap(zip(even, odd).map { Float(($0 + $1) / scale) }, notes: notes)
    }

    /// Σ p_c·m over the masks of even and of odd numbers.
    private func halves(_ parts: [[Float]]) -> (even: [Double], odd: [Double]) {
      var sums = [[Double]](repeating: [Double](repeating: 0, count: side * side), count: 2)
      for (number, probability) in parts.joined().enumerated() {
        let mask = masks.mask(number)
        sums[number % 2].withUnsafeMutableBufferPointer { sum in
          mask.withUnsafeBufferPointer { mask in
            for index in 0..<mask.count { sum[index] += Double(probability * mask[index]) }
          }
        }
      }
      return (sums[0], sums[1])
    }
  }
}
