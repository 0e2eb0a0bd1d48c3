import AllocationCounter
import AttentionLattice
import Cluster
import Encoder
import Networks
import Tensor
import TestSupport
import Testing
import Training

/// A step that has run before makes no buffer: all are made with the pass. What is left is a box of a few words for
/// each region's closure.
@Test func aSteadyStepAllocatesNoBufferInEitherPhase() throws {
  var options = ModelOptions(
    encoder: EncoderOptions(
      weights: Fixture.path("clip.encoder.safetensors"), imageSide: 24, heads: 2, loraBlocks: [3], loraRank: 4),
    classes: 5)
  (options.side.width, options.side.heads, options.side.layers, options.side.fusion) = (24, 3, 2, [0, 1])
  options.attention.dropout = 0.25
  options.perception.channels = [16, 8]
  let model = try LatticeModel(options, training: true)
  model.parameters.initialise(seed: 0)
  let step = TrainingStep(
    model, batch: 8, team: ThreadTeam(threads: 2), cluster: try Cluster(), weightDecay: 1e-4, clip: 1)
  var number = 0
  func run(_ phase: Phase) {
    number += 1
    step.pass.begin(batch: 8)
    for index in 0..<8 {
      for value in 0..<(model.encoder.patchCount * model.encoder.patchValues) {
        step.pass.patches(index)[value] = Float((value + index) % 7) - 3
      }
      step.pass.set(index, label: index % 5, input: .pixels)
    }
    _ = step.run(phase, at: StepPlace(seed: 0, epoch: 1, step: number), learningRate: 1e-3)
  }
  for phase in model.phases {
    // What happens once, in the runtime or in a library, is not the step's: it is what every step does that counts.
    let costs = (0..<8).map { _ -> (count: Int, bytes: Int) in
      let (count, bytes) = (ala_allocation_count(), ala_allocated_bytes())
      run(phase)
      return (ala_allocation_count() - count, ala_allocated_bytes() - bytes)
    }
    #expect((costs.map(\.count).min() ?? 0) <= mostRegions, "\(phase): \(costs)")
    #expect((costs.map(\.bytes).min() ?? 0) <= mostRegions * bytesOfAClosure, "\(phase): \(costs)")
  }
  let before = ala_allocated_bytes()
  let block = [UInt8](repeating: 1, count: number + 5000)
  #expect(ala_allocated_bytes() - before > 5000 && block.count > 5000, "allocations are counted")
}

/// Regions of the small model's step: each hands its threads one closure, which Swift boxes.
private let mostRegions = 28
private let bytesOfAClosure = 128
