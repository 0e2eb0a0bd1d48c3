import ArgumentParser
import Cluster
import Dataset
import Digests
import Experiments
import Failures
import Files
import Foundation
import Safetensors
import Storage

struct InspectCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Says what is inside a checkpoint, cache, safetensors or split file, or a folder of ala's.",
    discussion: """
      Of a run's folder it is the best checkpoint, or the last where none is best; of a cache's folder its index. Of a
      folder that import, table or evaluate has written, and of import.json, stages.json or summary.json in it, it is
      what is in it, in short.

      Examples:
        ala inspect runs/quickstart/run
        ala inspect runs/quickstart/run/checkpoints/last.h5
        ala inspect runs/quickstart/data/encoder.safetensors --json
      """)

  @Argument(
    help: "The file, or the folder of a run, a cache, an import, a table or an evaluation.", completion: .file())
  var file: String

  @Flag(help: "Print JSON.")
  var json = false

  func run(on cluster: Cluster) throws {
    try cluster.onRoot {
      let found =
        try InspectedFolder.find(file).map {
          InspectedFile($0.file, .of(try SHA256.ofFile($0.file)), .folder($0))
        } ?? look(at: Self.file(of: file))
      try StandardOutput.print(json ? try found.json() : found.lines.joined(separator: "\n"))
    }
  }

  private static let expectation =
    "a checkpoint, a cache, a safetensors or a split file, or the folder of a run, a cache, an import, a table or an "
    + "evaluation"

  /// What a file is that is none of these, by its first bytes and its name.
  private static func kind(of file: String, _ head: [UInt8]) -> String? {
    if head.starts(with: [0x89, 0x50, 0x4E, 0x47]) || head.starts(with: [0xFF, 0xD8, 0xFF]) { return "a picture" }
    if file.hasSuffix(".yaml") || file.hasSuffix(".yml") { return "YAML (ala config --config reads settings)" }
    if file.hasSuffix("plan.json") { return "the plan of a table" }
    return nil
  }

  /// What stands for a folder.
  private static func file(of given: String) -> String {
    ["\(given)/index.h5", checkpointPath(given)].first { $0 != given && access($0, F_OK) == 0 } ?? given
  }

  private func look(at file: String) throws -> InspectedFile {
    var status = stat()
    guard stat(file, &status) == 0 else { throw Failure.ofCall(.missingInput, "\(file): cannot be opened") }
    guard status.st_mode & S_IFMT != S_IFDIR else {
      let kind = Belonging.kind(of: file) ?? "a folder of no run and no cache"
      throw Failure.badData("\(file): is \(kind); expected \(Self.expectation)")
    }
    let head = try readBeginning(of: file, count: 16)
    guard !head.isEmpty else { throw Failure.badData("\(file): is empty") }
    // The header of safetensors begins so, and its tensors may hold anything.
    let isSafetensors = head.count > 8 && head[8] == UInt8(ascii: "{")
    if try head.starts(with: Array("ala-checkpoint".utf8)) || !isSafetensors && isHDF5(file) {
      let found = try HDF5Contents(file)
      return InspectedFile(file, try digest(status) { try SHA256.ofFile(file) }, .hdf5(found))
    }
    if let kind = Self.kind(of: file, head) {
      throw Failure.badData("\(file): is \(kind); expected \(Self.expectation)")
    }
    if file.hasSuffix(".json"), !SafetensorsFile.isIndex(path: file) {
      let split = try Split.read(path: file)
      return InspectedFile(file, .of(try SHA256.ofFile(file)), .split(split))
    }
    let weights = try SafetensorsFile(path: file)
    return InspectedFile(file, try digest(status) { try weights.sha256() }, .safetensors(weights))
  }

  /// What takes tens of seconds to be read is told of before.
  private static let longBytes = 4 << 30

  /// The digest of a file, unless most of it is holes: terabytes of them are easily declared, and take an hour to be read.
  private func digest(_ status: stat, _ compute: () throws -> String) throws -> InspectedFile.Digest {
    let size = Int(status.st_size)
    let onDisk = Int(status.st_blocks) * 512
    if size > Self.longBytes {
      if onDisk < size / 2 { return .ofHoles(size: size, onDisk: onDisk) }
      StandardError.note("\(file): reading \(size >> 30) GiB for its SHA-256")
    }
    return .of(try compute())
  }
}
