import Foundation
import Storage
import TestSupport
import Testing

/// Own pictures: imported, or read where they lie.

@Test func aRunOnFoldersOfPicturesHasTheBitsOfOneOnTheirImportAndEachGoesOnWithTheOther() throws {
  let bench = try TrainingBench(lanes: 4)
  let data = "\(bench.folder.path)/data"
  let (images, masks, imported) = ("\(data)/images", "\(data)/segmentations", "\(bench.folder.path)/imported")
  let made = try run(bench.program, ["import", images, "--masks", masks, "--out", imported])
  #expect(made.code == 0 && made.output.contains("72 images of 3 classes"), "\(made.errors)")
  let folders = [
    "--set", "data.root=\(images)", "--set", "data.layout=folders", "--set", "data.segmentations=\(masks)",
  ]
  let layout = ["--set", "data.root=\(imported)"]
  #expect(try bench.ala("train", ranks: 2, run: "folders", folders).code == 0)
  #expect(try bench.ala("train", run: "imported", layout).code == 0)
  #expect(try bench.digest("folders") == bench.digest("imported"))
  #expect(try bench.ala("train", run: "both", folders + ["--stop-after-steps", "5"]).code == 0)
  let rest = try bench.ala("train", run: "both", layout)
  #expect(rest.code == 0, "\(rest.errors)")
  #expect(try bench.digest("both") == bench.digest("imported"))
}

@Test func aFolderOrFileMayHaveANameOfOneCharacter() throws {
  let bench = try TrainingBench(lanes: 4)
  let root = bench.folder.path
  let made = try run(bench.program, ["import", "data/images", "--out", "k"], in: root)
  #expect(made.code == 0, "\(made.errors)")
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)
  let exported = try run(bench.program, ["export", "--checkpoint", "run", "--out", "z"], in: root)
  #expect(exported.code == 0, "\(exported.errors)")
}

@Test func anImportThatCannotBeMadeSaysWhyAndLeavesNothing() throws {
  let bench = try TrainingBench(lanes: 4)
  let images = "\(bench.folder.path)/data/images"
  try FileManager.default.createDirectory(atPath: "\(images)/nothing", withIntermediateDirectories: true)
  let result = try run(bench.program, ["import", images, "--out", "\(bench.folder.path)/x"])
  #expect(result.code == 65, "\(result.errors)")
  #expect(result.errors.contains("class folders without pictures: 1 (nothing)"), "\(result.errors)")
  #expect(!FileManager.default.fileExists(atPath: "\(bench.folder.path)/x"))
  let taken = try run(
    bench.program, ["import", images, "--skip-unreadable", "--json", "--out", "\(bench.folder.path)/x"])
  let report = try #require(try JSONSerialization.jsonObject(with: Data(taken.output.utf8)) as? [String: Any])
  #expect(taken.code == 0 && report["images"] as? Int == 72)
}

@Test func whatACommandSaysToDoNextIsACommandWhateverThePathsAreCalled() throws {
  let bench = try TrainingBench(lanes: 4)
  let place = "\(bench.folder.path)/Anna's 2 pictures"
  try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
  func next(_ result: ProcessResult) throws -> String {
    #expect(result.code == 0, "\(result.errors)")
    return try String(#require((result.output + result.errors).firstMatch(of: /next: ala (.+)/)).1)
  }
  func follow(_ words: String) throws -> ProcessResult {
    let settings = ["ALA_RUN__DIR": "Anna's run", "ALA_TRAINING__EPOCHS": "1", "ALA_EVALUATION__STEPS": "0"]
    return try run(
      "/bin/sh", ["-c", "'\(bench.program)' " + words.replacing("my.yaml", with: "c.yaml")], in: bench.folder.path,
      environment: settings)
  }
  let imported = try run(
    bench.program, ["import", "data/images", "--out", "\(place)/imported"], in: bench.folder.path)
  let evaluate = try next(follow(next(imported)))
  #expect(evaluate.hasPrefix("evaluate "))
  let report = try next(follow(evaluate))
  #expect(report.hasPrefix("report "))
  #expect(try follow(report).code == 0)
}

@Test func foldersThatCannotBeReadAreToldWithAllElse() throws {
  let bench = try TrainingBench(lanes: 4)
  let root = bench.folder.path
  let images = "\(root)/data/images"
  let classes = try FileManager.default.contentsOfDirectory(atPath: images).sorted()
  for name in classes.prefix(2) { chmod("\(images)/\(name)", 0) }
  defer { for name in classes.prefix(2) { chmod("\(images)/\(name)", 0o755) } }
  chmod(root, 0o755)
  // Root may read everything.
  let command = [bench.program, "import", images, "--out", "\(root)/x"]
  func bring(_ more: [String] = []) throws -> ProcessResult {
    try getuid() == 0
      ? run("/usr/bin/setpriv", ["--reuid", "65534", "--clear-groups"] + command + more)
      : run(command[0], Array(command.dropFirst()) + more)
  }
  let folders = try bring()
  #expect(folders.code == 66 && folders.errors.contains("folders that cannot be read: 2 (\(classes[0]) ("))
  #expect(!folders.errors.contains("without pictures"), "\(folders.errors)")
  try FileManager.default.createDirectory(atPath: "\(images)/empty", withIntermediateDirectories: true)
  let both = try bring()
  #expect(
    both.code == 65 && both.errors.contains(": 3 problems") && both.errors.contains("1 (empty)"), "\(both.errors)")
}
