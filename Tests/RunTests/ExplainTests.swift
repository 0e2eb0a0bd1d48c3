import Foundation
import Images
import Storage
import TestSupport
import Testing

/// Outputs beside the picture itself, among files of others, and of names that meet.
private func noOutputReplacesAnInputOrAStranger(_ program: String, _ root: String, picture: String) throws {
  let folder = "\(root)/own"
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  let bytes = FileManager.default.contents(atPath: picture)
  for name in ["one.png", "x.png", "x.map.png"] {
    try FileManager.default.copyItem(atPath: picture, toPath: "\(folder)/\(name)")
  }
  func explain(_ images: [String], out: String, _ flags: [String] = []) throws -> ProcessResult {
    try run(program, ["explain"] + images + ["--checkpoint", "\(root)/run", "--out", out] + flags, in: folder)
  }
  for flags in [[], ["--overwrite"]] {
    let input = try explain(["one.png"], out: ".", flags)
    #expect(input.code == 73 && input.errors.contains("one.png"), "\(input.errors)")
  }
  #expect(FileManager.default.contents(atPath: "\(folder)/one.png") == bytes)
  let stranger = try explain(["x.png"], out: ".", [])
  #expect(stranger.code == 73 && FileManager.default.contents(atPath: "\(folder)/x.map.png") == bytes)

  let both = try explain(["x.png", "x.map.png"], out: "apart")
  #expect(both.code == 0, "\(both.errors)")
  let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/apart")
  #expect(names.count { $0.hasSuffix(".png") } == 6, "\(names)")
  // Its own files it replaces; one that has been changed since is no longer its own.
  #expect(try explain(["x.png", "x.map.png"], out: "apart").code == 0)
  try Data("edited".utf8).write(to: URL(fileURLWithPath: "\(folder)/apart/x.png"))
  #expect(try explain(["x.png"], out: "apart").code == 73)
  #expect(try explain(["x.png"], out: "apart", ["--overwrite"]).code == 0)
  let export = ["export", "--checkpoint", "\(root)/run", "--out"]
  let encoder = "\(root)/data/encoder.safetensors"
  let before = FileManager.default.contents(atPath: encoder)
  for flags in [["--merge-lora"], ["--merge-lora", "--overwrite"]] {
    #expect(try run(program, export + [encoder] + flags).code == 73)
  }
  #expect(FileManager.default.contents(atPath: encoder) == before)
}

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
  #expect(
    try HDF5Contents("\(root)/out/explanations.h5", probe: builtProgram("ala")).lines.contains {
      $0.hasPrefix("/map") && $0.contains("[10, ")
    })

  try Data("not an image".utf8).write(to: URL(fileURLWithPath: "\(root)/pictures/002.Synthetic_002/broken.jpg"))
  try Data("neither".utf8).write(to: URL(fileURLWithPath: "\(root)/pictures/002.Synthetic_002/other.png"))
  let broken = try run(program, ["explain", "\(root)/pictures/002.Synthetic_002"] + checkpoint)
  #expect(broken.code == 65 && broken.errors.contains("broken.jpg") && broken.errors.contains("other.png"))
  #expect(broken.output.contains("8 images explained"))
  #expect(try run(program, ["explain", "\(root)/nowhere.png"] + checkpoint).code == 66)
  let nothing = try run(program, ["explain", "\(root)/c.yaml", "--checkpoint", "\(root)/run", "--out", "\(root)/none"])
  #expect(nothing.code == 65 && nothing.errors.contains("c.yaml") && nothing.output.isEmpty, "\(nothing)")
  #expect(!FileManager.default.fileExists(atPath: "\(root)/none"))
  let text = try run(program, ["explain", first, "--checkpoint", "\(root)/c.yaml", "--out", "\(root)/none"])
  #expect(text.code == 65 && text.errors.contains("c.yaml") && text.errors.contains("HDF5"), "\(text.errors)")
  try noOutputReplacesAnInputOrAStranger(program, root, picture: first)
  #expect(try run(program, ["explain", first, "--threshold", "2"] + checkpoint).code == 64)
}
