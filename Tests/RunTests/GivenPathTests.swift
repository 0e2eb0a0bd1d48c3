import Foundation
import TestSupport
import Testing

/// What is told of a path that leads nowhere, or to something else than is due.

private let ala = builtProgram("ala")

@Test func aDefaultThatIsNotThereIsToldWithItsSetting() throws {
  let bench = try TrainingBench()
  let root = bench.folder.path
  let bare = try run(ala, ["train"], in: root)
  #expect(bare.code == 66 && bare.errors.contains("data/CUB_200_2011: there is no such folder"), "\(bare)")
  #expect(bare.errors.contains("the default of data.root") && bare.errors.contains("--config FILE"), "\(bare)")
  let noWeights = try run(ala, ["train", "--set", "data.root=data"], in: root)
  #expect(noWeights.code == 66 && noWeights.errors.contains("the default of encoder.weights"), "\(noWeights)")
}

@Test func pathsOfARunThatAreWrongAreToldWithThoseThatAreRight() throws {
  let bench = try TrainingBench()
  let root = bench.folder.path
  #expect(try bench.ala("train", run: "all/run", ["--stop-after-steps", "1"]).code == 0)
  func evaluate(_ checkpoint: String, _ out: String) throws -> ProcessResult {
    try run(
      ala,
      ["evaluate", "--checkpoint", checkpoint, "--out", out, "--limit", "3", "--set", "evaluation.steps=0"], in: root)
  }
  let above = try evaluate("all", "e")
  #expect(
    above.code == 66 && above.errors.contains("all: is no folder of a run with a checkpoint; all/run is one"),
    "\(above)")

  // An evaluation among a run's files would be taken for what the folder is.
  let before = try FileManager.default.subpathsOfDirectory(atPath: "\(root)/all/run")
  let among = try evaluate("all/run", "all/run")
  #expect(among.code == 73 && among.errors.contains("such as --out all/run/test"), "\(among)")
  #expect(try FileManager.default.subpathsOfDirectory(atPath: "\(root)/all/run") == before)
  let picture = try #require(
    FileManager.default.enumerator(atPath: "\(root)/data/images")?.compactMap { $0 as? String }
      .first { $0.hasSuffix(".png") })
  #expect(try evaluate("all/run", "all/run/test").code == 0)

  let exported = try run(ala, ["export", "--checkpoint", "all/run", "--out", "x/y/z.safetensors"], in: root)
  #expect(exported.code == 0 && FileManager.default.fileExists(atPath: "\(root)/x/y/z.safetensors"), "\(exported)")
  let report = try run(ala, ["report", "all/run", "--out", "u/v/r.html"], in: root)
  #expect(report.code == 0 && FileManager.default.fileExists(atPath: "\(root)/u/v/r.html"), "\(report)")
  let pdf = try run(ala, ["report", "all/run", "--out", "r.pdf"], in: root)
  #expect(pdf.code == 64 && pdf.errors.contains("the page is HTML"), "\(pdf)")

  for (path, kind) in [
    ("data", "a synthetic data set"), ("c.yaml", "YAML"), ("data/images/\(picture)", "a picture"),
  ] {
    let other = try run(ala, ["inspect", path], in: root)
    #expect(
      other.code == 65 && other.errors.contains("\(path): is \(kind)")
        && other.errors.contains("or the folder of a run, a cache, an import, a table or an evaluation"), "\(other)")
  }

  try FileManager.default.moveItem(
    atPath: "\(root)/data/encoder.safetensors", toPath: "\(root)/moved.safetensors")
  let words = "encoder.safetensors: is missing (encoder.weights); --set encoder.weights="
  let gone = try evaluate("all/run", "g")
  #expect(gone.code == 66 && gone.errors.contains(words), "\(gone)")
  let unexplained = try run(
    ala, ["explain", "data/images/\(picture)", "--checkpoint", "all/run", "--out", "h"], in: root)
  #expect(unexplained.code == 66 && unexplained.errors.contains(words), "\(unexplained)")
}

@Test func aCacheThatIsWholeTellsOfNoRate() throws {
  let bench = try TrainingBench(cache: "there")
  #expect(try bench.ala("cache", run: "run").code == 0)
  let again = try bench.ala("cache", run: "run")
  #expect(again.code == 0 && again.errors.contains(" rows are cached") && !again.errors.contains("views/s"), "\(again)")
}
