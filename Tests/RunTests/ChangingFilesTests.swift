import Foundation
import TestSupport
import Testing

/// What a run does when files change, vanish or close under it.

/// Waits for a file, at most a minute.
private func waitFor(_ path: String, holding text: String = "") {
  for _ in 0..<60_000 {
    if let now = try? String(contentsOfFile: path, encoding: .utf8), now.contains(text) { return }
    usleep(1_000)
  }
}

/// Appends a byte to every image of a set; pictures stay the same.
private func changeImages(_ root: String) {
  let images = "\(root)/data/images"
  for name in FileManager.default.enumerator(atPath: images)?.compactMap({ $0 as? String }) ?? []
  where name.hasSuffix(".png") {
    guard let handle = FileHandle(forWritingAtPath: "\(images)/\(name)") else { continue }
    _ = try? handle.seekToEnd()
    try? handle.write(contentsOf: Data([0]))
    try? handle.close()
  }
}

@Test func imagesThatChangeUnderARunEndItByTheirName() throws {
  let bench = try TrainingBench(lanes: 4, cache: "yes", extra: "run: {patience_seconds: 60}")
  let root = bench.folder.path
  #expect(try bench.ala("train", run: "done", ["--set", "cache.dir=null", "--stop-after-steps", "1"]).code == 0)
  let cases: [(command: String, arguments: [String], begun: String)] = [
    ("train", ["--set", "cache.dir=null", "--set", "training.epochs=2000"], "\(root)/run/metrics.jsonl"),
    ("cache", ["--set", "cache.views=2000"], "\(root)/cache/shard-00000-of-00001.h5"),
    (
      "evaluate",
      ["--checkpoint", "\(root)/done", "--out", "\(root)/test", "--set", "evaluation.steps=2000", "--split", "train"],
      "\(root)/test/.unfinished/0-0.jsonl"
    ),
  ]
  for (command, arguments, begun) in cases {
    let result = try bench.ala(command, run: "run", arguments) { _ in
      while !FileManager.default.fileExists(atPath: begun) { usleep(1_000) }
      if command == "train" { waitFor(begun, holding: "step") }
      changeImages(root)
    }
    #expect(
      result.code == 65 && result.errors.contains("has been changed since this run began")
        && result.errors.contains("\(root)/data/images/"),
      "\(command): \(result.code) \(result.errors)")
  }
}

@Test(arguments: [false, true]) func aRunsFolderThatVanishesEndsIt(isMoved: Bool) throws {
  let bench = try TrainingBench(lanes: 4)
  let folder = "\(bench.folder.path)/run"
  let result = try bench.ala("train", ranks: 2, run: "run", ["--set", "training.epochs=5000"]) { _ in
    waitFor("\(folder)/metrics.jsonl", holding: "step")
    if isMoved {
      try? FileManager.default.moveItem(atPath: folder, toPath: "\(folder)-elsewhere")
    } else {
      try? FileManager.default.removeItem(atPath: folder)
    }
  }
  #expect(result.code == 73 && result.errors.contains("\(folder)/"), "\(result.code) \(result.errors)")
}

@Test func whatAKilledEvaluationHasLeftHalfWrittenIsSwept() throws {
  let bench = try TrainingBench(lanes: 4)
  let out = "\(bench.folder.path)/test"
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)
  let arguments = ["--checkpoint", "\(bench.folder.path)/run", "--out", out, "--set", "evaluation.steps=0"]
  #expect(try bench.ala("evaluate", run: "run", arguments).code == 0)
  let left = ["overlays/3.png.tmp-1", "summary.json.tmp-1"]
  for name in left { try Data("half".utf8).write(to: URL(fileURLWithPath: "\(out)/\(name)")) }
  let again = try bench.ala("evaluate", run: "run", arguments)
  #expect(again.code == 0, "\(again.errors)")
  #expect(!left.contains { FileManager.default.fileExists(atPath: "\(out)/\($0)") })
}

@Test func aTextOrAFolderOfMasksThatMayNotBeReadIsMissingInput() throws {
  guard getuid() == 0 else {
    print("skipped: only root can become a user who may not read a file")
    return
  }
  let bench = try TrainingBench(lanes: 4)
  let root = bench.folder.path
  chmod(root, 0o755)
  let masks = "data/segmentations"
  for (name, mode) in [
    ("data/classes.txt", 0o644), ("c.yaml", 0o644), (masks, 0o755), ("\(masks)/001.Synthetic_001", 0o755),
  ] as [(String, mode_t)] {
    chmod("\(root)/\(name)", 0)
    let result = try run(
      "/usr/bin/setpriv",
      [
        "--reuid", "65534", "--clear-groups", bench.program, "train", "--config", "\(root)/c.yaml", "--set",
        "run.dir=/tmp/ala-test-nowhere",
      ])
    #expect(
      result.code == 66 && result.errors.contains("\(root)/\(name)") && result.errors.contains("Permission denied"),
      "\(result.code) \(result.errors)")
    chmod("\(root)/\(name)", mode)
  }
}
