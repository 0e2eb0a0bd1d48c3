import FCAM
import Foundation
import Randomness
import Tensor
import TestSupport
import Testing

/// The parts of the decoder's loss: the barrier's values, gradients by finite differences, and the seeds' odd cases.

@Test func theBarrierHasItsPublishedValuesAndItsSlope() {
  for (z, t, value) in [
    (-2.0, 1.0, -0.693147), (-0.5, 1, 0.5), (-0.005, 10, 0.510517), (-0.02, 10, 0.391202), (1, 2, 3.193147),
  ] {
    #expect(abs(LogBarrier.value(z, t: t) - value) < 1e-6)
    let h = 1e-6
    let slope = (LogBarrier.value(z + h, t: t) - LogBarrier.value(z - h, t: t)) / (2 * h)
    #expect(abs(LogBarrier.derivative(z, t: t) - slope) < 1e-4 * max(1, abs(slope)))
  }
  let barrier = LogBarrier()
  #expect(barrier.t(epoch: 1) == 1)
  #expect(abs(barrier.t(epoch: 3) - 1.0201) < 1e-12)
  #expect(barrier.t(epoch: 1000) == 10)
}

private func colours(_ side: Int) -> [Float] {
  (0..<(side * side * 3)).map { index in
    Float(128 + 90 * sin(Double(index / 3 % side) / 3 + Double(index % 3)) + 25 * cos(Double(index / 3 / side)))
      .rounded()
  }
}

/// The gradient of all parts along a direction, against the losses on either side of it.
@Test(arguments: [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1e-3), (1.0, 0.1, 1e-3)])
func theGradientIsThatOfTheComputedLoss(weights: (seed: Double, size: Double, crf: Double)) {
  let side = 12
  var options = FCAMOptions()
  (options.seedWeight, options.sizeWeight, options.crfWeight) = weights
  (options.sigmaXY, options.sigmaRGB) = (5, 50)
  let loss = DecoderLoss(options: options, side: side)
  let scratch = Buffer(max(loss.scratchCount, 1))
  let memory = Buffer(SeededPixels.count(window: 3))
  let seeded = SeededPixels(memory.base)
  seeded.clear()
  for (pixel, label) in [(3, 1), (40, 0), (41, 0)] { seeded.append(pixel, label: label) }
  var stream = RandomStream(seed: 1, name: "test")
  let logits = (0..<(2 * side * side)).map { _ in Float(stream.uniform(-2, 2)) }
  let direction = logits.map { _ in Float(stream.uniform(-1, 1)) }
  let picture = colours(side)
  func run(_ logits: [Float], gradient: Floats?) -> Double {
    var scores = logits
    var total = 0.0
    scores.withUnsafeMutableBufferPointer { scores in
      picture.withUnsafeBufferPointer { picture in
        guard let s = scores.baseAddress, let c = picture.baseAddress else { return }
        let values = loss.run(
          s, gradient: gradient, colours: c, seeds: seeded, t: 1.5, seedScale: 0.2, imageScale: 0.25,
          scratch: scratch.base)
        total =
          options.seedWeight * 0.2 * values.seeds + 0.25 * (options.sizeWeight * values.size)
          + 0.25 * (options.crfWeight * values.crf)
      }
    }
    return total
  }
  let gradient = Buffer(logits.count)
  _ = run(logits, gradient: gradient.base)
  let along = direction.indices.reduce(0.0) { $0 + Double(direction[$1]) * Double(gradient.base[$1]) }
  let h: Float = 1e-2
  let above = run(zip(logits, direction).map { $0 + h * $1 }, gradient: nil)
  let below = run(zip(logits, direction).map { $0 - h * $1 }, gradient: nil)
  let slope = (above - below) / (2 * Double(h))
  #expect(abs(along - slope) < 2e-3 * max(abs(slope), 1e-2), "\(along) \(slope)")
}

private func draw(_ map: [Float], side: Int, _ options: FCAMOptions = FCAMOptions(), index: UInt64 = 0) -> [Int] {
  let g = Int(Double(map.count).squareRoot())
  let sampler = SeedSampler(options: options, side: side)
  let memory = Buffer(SeededPixels.count(window: options.dilation))
  let scratch = Buffer(sampler.scratchCount)
  var found = [Int](repeating: -1, count: side * side)
  map.withUnsafeBufferPointer { buffer in
    guard let base = buffer.baseAddress else { return }
    sampler.draw(
      SeededPixels(memory.base), map: base, grid: g, stream: RandomStream(seed: 0, name: "test", index: index),
      scratch: scratch.base)
  }
  SeededPixels(memory.base).forEach { found[$0] = $1 }
  return found
}

@Test func aConstantMapHasNoSeedsAndOneThatIsNotFiniteIsNoTrap() {
  #expect(draw([Float](repeating: 0.3, count: 16), side: 32).allSatisfy { $0 == -1 })
  #expect(draw([Float](repeating: .nan, count: 16), side: 32).allSatisfy { $0 == -1 })
  #expect(draw([.infinity, -.infinity, .nan, 1], side: 32).allSatisfy { $0 == -1 })
  // What is not a number counts as the lowest.
  let found = draw([.nan, .nan, 5, 4, .nan, 5, 5, 5, 4, 5, 5, 5, 4, 5, 5, 5], side: 32)
  #expect(found.contains(1) && found.contains(0))
}

@Test func seedsLieWhereTheRuleSaysAndAreDrawnEvenly() {
  // One bright cell of 16: the region is around it, the background anywhere far from it.
  let map: [Float] = [0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  var options = FCAMOptions()
  options.erosion = 5
  var rows: Set<Int> = []
  for index in 0..<200 {
    let found = draw(map, side: 32, options, index: UInt64(index))
    let foreground = found.indices.filter { found[$0] == 1 }
    #expect(foreground.count == 9 || found.contains(0))
    for pixel in foreground {
      // The cell's rows are 8..<16, its columns 16..<24.
      #expect((6..<18).contains(pixel / 32) && (14..<26).contains(pixel % 32))
      rows.insert(pixel / 32)
    }
  }
  #expect(rows.count >= 6)
}

@Test func aRegionThatErosionWouldEmptyStays() {
  var map = [Float](repeating: 0, count: 64)
  map[27] = 1
  var options = FCAMOptions()
  options.erosion = 31
  #expect(draw(map, side: 64, options).contains(1))
}
