import Foundation
import Lanes
import Layers
import Networks
import Tensor
import TestSupport
import Testing

/// Sums of gradients over lanes that end in any order.

extension ParameterGroup {
  fileprivate static let tested = ParameterGroup("tested")
}

extension ProfiledPart {
  fileprivate static let tested = ProfiledPart("tested")
}

/// A value of a lane that float32 sums to other bits in another order.
private func value(_ lane: Int, _ index: Int) -> Float {
  Float(sin(Double(lane * 37 + index * 11)) * pow(10, Double((lane * 5 + index) % 7)))
}

/// The sum over the lanes by a binary tree that pairs neighbours first.
private func treeSum(_ index: Int, lanes: Int) -> Float {
  var sums = (0..<lanes).map { value($0, index) }
  while sums.count > 1 {
    sums = stride(from: 0, to: sums.count, by: 2).map { $0 + 1 < sums.count ? sums[$0] + sums[$0 + 1] : sums[$0] }
  }
  return sums[0]
}

@Test(arguments: [1, 2, 3, 4, 5, 7, 8, 12, 16], [1, 2, 4])
func lanesAreSummedByTheSameTreeWhicheverEndsFirst(lanes: Int, threads: Int) throws {
  let store = ParameterStore()
  let parameters = ["first", "second"].map { store.declare($0, [16], group: .tested, .zeros) }
  try store.allocate(training: true)
  let pass = LanePass(
    LanePlan(batch: lanes, lanes: lanes, world: 1, rank: 0),
    room: LanePass.Room(sample: 16, scratch: 16, segments: parameters.map(\.range), losses: 0),
    gradients: store.gradients, team: ThreadTeam(threads: threads), exchange: AllLanesHere())
  pass.begin(batch: lanes)
  for round in 0..<3 {
    pass.beginStep(at: StepPlace(seed: 0, epoch: 1, step: round + 1))
    for parameter in parameters.reversed() {
      pass.region(.tested, summing: parameter.range) { sample, _, slot, _ in
        // A lane here and there is slow: others end before it.
        if (sample.lane + round) % 3 == 0 { usleep(2_000) }
        for index in 0..<16 { slot.of(parameter)[index] += value(sample.lane, parameter.offset + index) }
      }
    }
    pass.endStep(trained: 0..<store.count)
    for index in 0..<store.count {
      #expect(store.gradients.base[index].bitPattern == treeSum(index, lanes: lanes).bitPattern)
    }
  }
}
