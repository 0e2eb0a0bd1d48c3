import Foundation
import TestSupport
import Testing

/// What a run would be refused for is told before it begins, by its dry run too; and what its data lack.

private func everything(below folder: String) -> [String] {
  (FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []).sorted()
}

@Test func aDryRunRefusesWhatTheRunWouldRefuseAndWritesNothing() throws {
  let bench = try TrainingBench(lanes: 4)
  let root = bench.folder.path
  let few = ["--set", "training.epochs=1"]
  #expect(try bench.ala("train", run: "own", few).code == 0)
  try "none\n".write(toFile: "\(root)/README.md", atomically: true, encoding: .utf8)
  try "own\n".write(toFile: "\(root)/log.txt", atomically: true, encoding: .utf8)
  let checkpoint = "\(root)/own/checkpoints/last.h5"
  let refused: [(run: String, arguments: [String], code: Int32)] = [
    ("new", ["--init", "\(root)/absent"], 66), ("new", ["--resume", "\(root)/absent.h5"], 66),
    ("new", ["--init", "\(root)/README.md"], 65), ("new", ["--resume", "\(root)/README.md"], 65),
    ("new", ["--init", checkpoint, "--set", "side.width=12"], 65),
    ("new", ["--init", checkpoint, "--resume", "never", "--set", "model.kind=fcam"], 78),
    ("README.md", [], 73), ("README.md/below", [], 73), (".", [], 73), ("own", ["--set", "training.lr=1"], 78),
    ("new", ["--resume", checkpoint, "--set", "training.lr=1"], 78),
  ]
  var before: [String] = []
  for (name, arguments, code) in refused {
    before = everything(below: root)
    let dry = try bench.ala("train", run: name, few + arguments + ["--dry-run"])
    #expect(dry.code == code && dry.errors.hasPrefix("ala: error: "), "\(name) \(arguments): \(dry.code) \(dry.errors)")
    #expect(dry.output.contains("run:\n  dir: "), "\(name) \(arguments)")
    #expect(everything(below: root) == before, "\(name) \(arguments)")
    let real = try bench.ala("train", run: name, few + arguments)
    #expect(real.code == code, "\(name) \(arguments): \(real.code) \(real.errors)")
    try? FileManager.default.removeItem(atPath: "\(root)/new")
  }
  for arguments in [
    ["--init", checkpoint], ["--resume", checkpoint], ["--resume", "never", "--init", checkpoint], [],
  ] {
    let dry = try bench.ala("train", ranks: 2, run: "own", few + arguments + ["--dry-run"])
    #expect(dry.code == 0 && dry.output.contains("# memory: "), "\(arguments): \(dry.errors)")
  }
  #expect(everything(below: root) == before)
  // Without data the rest is told all the same.
  let absent = try bench.ala("train", run: "README.md", ["--set", "data.root=/none", "--dry-run"])
  #expect(absent.code == 73, "\(absent.errors)")
}

@Test func whatIsNamedToGoOnFromIsLookedAtFirst() throws {
  let bench = try TrainingBench(lanes: 4, cache: "absent")
  let text = "\(bench.folder.path)/c.yaml"
  let result = try bench.ala("train", run: "run", ["--resume", text])
  #expect(
    result.code == 65 && result.errors.hasPrefix("ala: error: \(text): is not a checkpoint of ala"), "\(result.errors)")
}

/// Two classes of ten pictures: five of each test, and none validates.
@Test func aRunWithoutValidationOrTestImagesSaysSoAndWhatCanBeDoneNext() throws {
  let bench = try TrainingBench(lanes: 4)
  let root = bench.folder.path
  let manager = FileManager.default
  let classes = try manager.contentsOfDirectory(atPath: "\(root)/data/images").sorted()
  for (place, name) in classes.prefix(2).enumerated() {
    try manager.createDirectory(atPath: "\(root)/few/train/\(place)", withIntermediateDirectories: true)
    let images = try manager.contentsOfDirectory(atPath: "\(root)/data/images/\(name)").sorted()
    for image in images.prefix(10) {
      try manager.copyItem(
        atPath: "\(root)/data/images/\(name)/\(image)", toPath: "\(root)/few/train/\(place)/\(image)")
    }
  }
  let few = ["--set", "data.root=\(root)/few", "--set", "data.layout=folders", "--set", "training.epochs=1"]
  let warning = "there is no validation image: "
  let dry = try bench.ala("train", run: "run", few + ["--dry-run"])
  #expect(dry.code == 0 && dry.output.contains("# warning: \(warning)"), "\(dry)")
  let run = try bench.ala("train", run: "run", few)
  #expect(run.code == 0 && run.errors.contains("warning: \(warning)"), "\(run.errors)")
  #expect(run.errors.contains("next: ala evaluate --checkpoint \(root)/run --out \(root)/run/test\n"), "\(run.errors)")
  let one = try bench.ala("train", run: "one", few + ["--set", "data.classes=[1]", "--dry-run"])
  #expect(one.output.contains("# warning: there is a single class, 1: "), "\(one)")

  // A list that gives no image to test on: those that validate, else those that train, can be evaluated.
  for (validates, split) in [(true, "valid"), (false, "train")] {
    let data = "\(root)/\(split)"
    try manager.copyItem(atPath: "\(root)/data", toPath: data)
    let table = try String(contentsOfFile: "\(data)/train_test_split.txt", encoding: .utf8)
    let ids = table.split(separator: "\n").compactMap { $0.split(separator: " ").first }
    try ids.map { "\($0) 1\n" }.joined().write(
      toFile: "\(data)/train_test_split.txt", atomically: true, encoding: .utf8)
    // Of each class's 24 images a sixth validates; of five none.
    if !validates { try keepFive(in: data) }
    let trained = try bench.ala(
      "train", run: "\(split)-run", ["--set", "data.root=\(data)", "--set", "training.epochs=1"])
    let next =
      "next: ala evaluate --checkpoint \(root)/\(split)-run --split \(split) --out \(root)/\(split)-run/\(split)"
    #expect(trained.code == 0 && trained.errors.contains(next), "\(trained.errors)")
  }
  let evaluated = try bench.ala(
    "evaluate", run: "valid-run",
    ["--set", "data.root=\(root)/valid", "--checkpoint", "\(root)/valid-run", "--out", "\(root)/x", "--dry-run"])
  #expect(evaluated.code == 65 && evaluated.errors.contains("split test has no image"), "\(evaluated.errors)")
}

/// Leaves the first five images of each class.
private func keepFive(in data: String) throws {
  for name in ["images.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt"] {
    let file = "\(data)/\(name)"
    guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { continue }
    let kept = text.split(separator: "\n").filter { line in
      Int(line.prefix { $0 != " " }).map { ($0 - 1) % 24 < 5 } ?? false
    }
    try kept.map { "\($0)\n" }.joined().write(toFile: file, atomically: true, encoding: .utf8)
  }
}
