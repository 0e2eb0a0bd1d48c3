import Failures
import Foundation
import Storage
import TestSupport
import Testing

/// A cache that this process cannot read at this moment is left as it is.

private let layout = CacheLayout(side: 4, tokens: 4, width: 3, layers: [0, 2], type: .float32)
private let rows = (1...3).map { CacheRow(imageID: $0, view: 0) }

private func cache(_ folder: String, probe: String = builtProgram("ala")) -> FeatureCache {
  FeatureCache(
    folder: folder,
    fingerprint: CacheFingerprint(
      encoderSHA256: "e", encoderSettings: "{}", viewDefinition: "{}", datasetSHA256: "d", firstLoRABlock: 3,
      layout: layout), probe: probe)
}

/// Ends of the process that looks into the files, and what they tell.
@Test(arguments: [
  ("exit 1", ExitCode.unavailable), ("kill -INT $$", .unavailable), ("kill -SEGV $$", .unavailable),
  ("exit 127", .unavailable), ("printf '!'; kill -KILL $$", .unavailable), ("printf '!'; kill -TERM $$", .unavailable),
  ("printf '!x: cannot be read: Input/output error'; exit 66", .missingInput),
  ("printf '!x: is locked'; exit 69", .unavailable), ("printf '!'; exit 69", .unavailable),
])
func aFileThatCouldNotBeLookedAtIsNoUnsoundOne(end: String, code: ExitCode) throws {
  let folder = try TemporaryFolder()
  let writer = cache("\(folder.path)/made")
  try FileManager.default.createDirectory(atPath: writer.folder, withIntermediateDirectories: true)
  _ = try writer.open(wanting: rows)
  _ = try writer.plan(rows, rank: 0, world: 1)
  // As files that this process has not looked at.
  try FileManager.default.copyItem(atPath: writer.folder, toPath: "\(folder.path)/copy")
  let probe = "\(folder.path)/probe"
  try "#!/bin/sh\n\(end)\n".write(toFile: probe, atomically: true, encoding: .utf8)
  chmod(probe, 0o755)
  let failure = #expect(throws: Failure.self) { try cache("\(folder.path)/copy", probe: probe).repair(wanting: rows) }
  #expect(failure?.code == code && failure?.message.isEmpty == false, "\(failure as Any)")
  let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/copy")
  #expect(names == ["shard-00000-of-00001.h5"])
}

@Test func aShardOrAnIndexThatTakesMoreMemoryThanAnyIsSetAside() throws {
  let folder = try TemporaryFolder()
  for name in ["shard-00000-of-00001.h5", "index.h5"] {
    try FileManager.default.copyItem(atPath: Fixture.path("paths.h5"), toPath: "\(folder.path)/\(name)")
    let told = try cache(folder.path).repair(wanting: rows)
    #expect(told.count == 1 && told[0].contains("takes more memory than any of ours"), "\(told)")
    #expect(FileManager.default.fileExists(atPath: "\(folder.path)/\(name).damaged"))
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/\(name)"))
  }
}
