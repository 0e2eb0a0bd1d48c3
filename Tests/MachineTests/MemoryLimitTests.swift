import Foundation
import Machine
import TestSupport
import Testing

/// Limits on memory, out of the texts in which Linux tells of them.

/// A tree of control groups.
private func controlGroups(_ files: [String: String]) throws -> TemporaryFolder {
  let folder = try TemporaryFolder()
  for (name, text) in files {
    let path = "\(folder.path)/\(name)"
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }
  return folder
}

@Test func theNarrowestControlGroupAboveAProcessLimitsIt() throws {
  let second = try controlGroups([
    "memory.max": "900000000\n", "memory.current": "100000000\n", "a/memory.max": "300000000\n",
    "a/memory.current": "100000000\n", "a/b/memory.max": "max\n",
    "a/b/memory.current": "7\n",
  ])
  let limit = MemoryLimit.ofControlGroup(membership: "0::/a/b\n", root: second.path, memory: 0x1p34)
  #expect(limit?.limit == 3e8 && limit?.free == 2e8, "\(limit as Any)")
  let first = try controlGroups([
    "memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/x/memory.limit_in_bytes": "1000\n",
    "memory/x/memory.usage_in_bytes": "1200\n",
  ])
  let text = "9:name=systemd:/\n4:cpu,memory:/x\n0::/\n"
  let full = MemoryLimit.ofControlGroup(membership: text, root: first.path, memory: 0x1p34)
  #expect(full?.limit == 1000 && full?.free == 0, "\(full as Any)")
}

@Test func withoutALimitThereIsNone() throws {
  let folder = try controlGroups(["memory.max": "max\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"])
  for text in ["", "0::/\n", "4:memory:/\n", "nonsense\n", "4:memory:/gone\n"] {
    #expect(MemoryLimit.ofControlGroup(membership: text, root: folder.path, memory: 0x1p34) == nil, "\(text)")
  }
}
