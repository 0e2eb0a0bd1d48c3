import FCAM
import Failures
import Testing

/// How settings become the decoder's stages.

@Test func aPatchThatIsNoPowerOfTwoIsRefusedByASentence() throws {
  for (patch, count) in [(2, 1), (4, 2), (8, 3), (16, 4), (32, 5)] {
    #expect(try FCAMOptions.stageCount(patch: patch) == count)
  }
  for patch in [1, 6, 14] {
    let failure = #expect(throws: Failure.self) { try FCAMOptions.stageCount(patch: patch) }
    #expect(failure?.code == .badConfiguration)
    #expect(failure?.message.contains("\(patch) pixels wide, which is no power of two") == true)
  }
}

@Test func widthsAndSkipsAreSpreadOverTheStagesThereAre() {
  var options = FCAMOptions()
  #expect(options.stageWidths(3) == [256, 128, 64])
  #expect(options.stageWidths(5) == [256, 128, 64, 32, 16])
  options.widths = [3]
  #expect(options.stageWidths(4) == [3, 1, 1, 1])
  #expect(options.stageLayers(4) == [nil, nil, nil, nil])
  for (skips, layers) in [
    ([3, 2, 1, 0], [3, 2, 1, 0]), ([9, 0], [9, 9, 0, 0]), ([5], [5, 5, 5, 5]), ([7, 6, 5, 4, 3], [7, 6, 5, 4]),
  ] {
    options.skips = skips
    #expect(options.stageLayers(4) == layers)
  }
}

@Test func everyTensorOfADecoderIsOfAPart() throws {
  let network = try Setup("fcam").network
  let store = network.parameters
  for tensor in store.parameters.map(\.name) + store.statistics.map(\.name) {
    #expect(network.parts.filter { tensor.hasPrefix($0.prefix) }.count == 1, "\(tensor)")
  }
  #expect(network.parts.map(\.name) == ["decoder_head", "decoder_stage_3", "decoder_stage_2", "decoder_stage_1"])
}
