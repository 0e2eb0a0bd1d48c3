import AllocationCounter
import Cluster
import Networks
import Tensor
import TestSupport
import Testing
import Training

/// A step that has run before makes no buffer: what is left is the boxes of closures, of regions and of rows' sources.
@Test(arguments: ProductLibrary.linked) func aDecodersSteadyStepAllocatesNoBuffer(library: ProductLibrary) throws {
  try secureProducts(by: library, threads: 2, limit: nil)
  defer { try? secureProducts(threads: 2, limit: nil) }
  let setup = try Setup("fcam")
  let step = TrainingStep(
    setup.network, batch: setup.labels.count, team: ThreadTeam(threads: 2), cluster: try Cluster(),
    rule: .sgd(momentum: 0.9), weightDecay: 0, clip: 0)
  try setup.load(step.pass)
  let costs = (1...6).map { number -> Int in
    let before = ala_allocated_bytes()
    _ = step.run(setup.network.phase(epoch: 1), at: setup.place(number), learningRate: 1e-3)
    return ala_allocated_bytes() - before
  }
  #expect((costs.min() ?? .max) <= mostClosures * bytesOfAClosure, "\(costs)")
}

/// Of the small decoder's step: a region each, and a few for each of six samples in every region.
private let mostClosures = 19 + 6 * 19 * 8
private let bytesOfAClosure = 128
