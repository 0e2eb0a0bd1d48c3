import Foundation
import Images
import Storage
import TestSupport
import Testing

/// `ala explain` and the data set is gone: a checkpoint and the encoder are enough.
@Test func explainTakesFilesFoldersAndListsAndNamesWhatItCannotRead() throws {
  let folder = try TemporaryFolder()
  let (root, program) = (folder.path, builtProgram("ala"))
  #expect(
    try run(program, ["synth", "--out", "\(root)/data", "--classes", "3", "--images-per-class", "8", "--size", "32"])
      .code == 0)
  try """
  run: {dir: \(root)/run}
  data: {root: \(root)/data}
  image: {size: 32}
  encoder: {weights: \(root)/data/encoder.safetensors}
  lora: {blocks: [3], rank: 2}
  side: {width: 12, heads: 3, layers: 2, fusion: [0, 2]}
  perception: {channels: [8, 8]}
  training: {epochs: 1}
  """.write(toFile: "\(root)/c.yaml", atomically: true, encoding: .utf8)
  #expect(try run(program, ["train", "--config", "\(root)/c.yaml"]).code == 0)
  try FileManager.default.moveItem(atPath: "\(root)/data/images", toPath: "\(root)/pictures")
  for name in ["images.txt", "classes.txt"] { try FileManager.default.removeItem(atPath: "\(root)/data/\(name)") }
  let first = "\(root)/pictures/001.Synthetic_001/Synthetic_001_0001.png"
  try "\(first)\n\n".write(toFile: "\(root)/list.txt", atomically: true, encoding: .utf8)
  let checkpoint = ["--checkpoint", "\(root)/run", "--out", "\(root)/out"]
  let result = try run(
    program, ["explain", "\(root)/pictures/002.Synthetic_002", "\(root)/list.txt", first] + checkpoint)
  #expect(result.code == 0 && result.output.contains("10 images explained"), "\(result.errors)")
  #expect(result.output.contains("Synthetic_001") && result.output.contains("%"))
  for name in ["Synthetic_001_0001", "Synthetic_001_0001-2", "Synthetic_002_0008"] {
    for kind in ["png", "overlay.png", "map.png"] {
      #expect(throws: Never.self) { try decodeImage(path: "\(root)/out/\(name).\(kind)") }
    }
  }
  let size = try imageSize(path: first)
  #expect(try imageSize(path: "\(root)/out/Synthetic_001_0001.map.png") == size)
  #expect(try describeHDF5("\(root)/out/explanations.h5").contains { $0.hasPrefix("/map") && $0.contains("[10, ") })

  try Data("not an image".utf8).write(to: URL(fileURLWithPath: "\(root)/pictures/002.Synthetic_002/broken.jpg"))
  try Data("neither".utf8).write(to: URL(fileURLWithPath: "\(root)/pictures/002.Synthetic_002/other.png"))
  let broken = try run(program, ["explain", "\(root)/pictures/002.Synthetic_002"] + checkpoint)
  #expect(broken.code == 65 && broken.errors.contains("broken.jpg") && broken.errors.contains("other.png"))
  #expect(broken.output.contains("8 images explained"))
  #expect(try run(program, ["explain", "\(root)/nowhere.png"] + checkpoint).code == 66)
  #expect(try run(program, ["explain", first, "--threshold", "2"] + checkpoint).code == 64)
}
