import Failures
import Foundation
import Storage
import Synchronization
import TestSupport
import Testing

private func makeTensors(_ value: Float = 1) -> [NamedTensor] {
  [
    NamedTensor(name: "side.patch.weight", shape: [2, 3], values: [value, 2, 3, 4, 5, 6]),
    NamedTensor(name: "attention.stem.norm.running_mean", shape: [2], values: [0.5, -1]),
  ]
}

private func makeCheckpoint(_ value: Float = 1) -> CheckpointContents {
  let tensors = makeTensors(value)
  return CheckpointContents(
    model: TensorTable(tensors), firstMoments: TensorTable([tensors[0]]), secondMoments: TensorTable([tensors[0]]),
    steps: ["side.patch.weight": 7],
    attributes: ["epoch": .integer(3), "config": .text("run:\n  dir: größe\n"), "phase": .text("alpha")])
}

@Test func aCheckpointReadsBackAsItWasWritten() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/c.h5"
  try makeCheckpoint().write(to: path)
  let (back, tensors) = (try Checkpoint.read(path), makeTensors())
  #expect(back.model == tensors.sorted { $0.name < $1.name })
  #expect(back.firstMoments == [tensors[0]] && back.secondMoments == [tensors[0]])
  #expect(back.steps == ["side.patch.weight": 7])
  #expect(back.integer("epoch") == 3 && back.text("config") == "run:\n  dir: größe\n")
  #expect(back.text("format") == "ala-checkpoint" && back.text("model_sha256") == TensorTable(tensors).digest())
  #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["c.h5"])
}

/// Debian's build of the library is made for threads and would forgive; others are not.
@Test func everyFunctionThatCallsTheHDF5LibraryTakesItsTurn() throws {
  let callers = ["File", "Objects", "Values", "RootAttributes", "VirtualData"].map { "/HDF5\($0).swift" }
  for path in filesBelow("Sources") where path.hasSuffix(".swift") {
    let text = try String(contentsOfFile: "\(repositoryRoot)/\(path)", encoding: .utf8)
    // What is between one declaration and the next.
    let starts = text.ranges(of: /(?m)^ *(?:[a-z]+ )*(?:func|init|deinit|var)\b.*$/).map(\.lowerBound) + [text.endIndex]
    var turns = 0
    for (start, end) in zip(starts, starts.dropFirst()) {
      let part = text[start..<end]
      guard part.contains(/\bH5[A-Z]\w*\(|\bala_h5_/) else { continue }
      let name = part.prefix { $0 != "\n" }
      #expect(callers.contains { path.hasSuffix($0) }, "\(path) calls the library: \(name)")
      if name.contains("private ") || part.hasPrefix("    ") { continue }
      #expect(part.contains("HDF5Library.enter()\n    defer { HDF5Library.leave() }"), "\(name)")
      turns += 1
    }
    #expect(turns > 0 || !callers.contains { path.hasSuffix($0) })
  }
}

@Test func threadsThatUseHDF5FilesAtOnceTakeTurns() throws {
  let folder = try TemporaryFolder()
  let path = folder.path
  let wrong = Mutex<[String]>([])
  DispatchQueue.concurrentPerform(iterations: 4) { thread in
    for round in 0..<40 {
      do {
        let value = Float(thread * 100 + round)
        try makeCheckpoint(value).write(to: "\(path)/\(thread).h5")
        let read = try Checkpoint.read("\(path)/\(thread).h5").model.first { $0.name == "side.patch.weight" }
        if read?.values.first != value { wrong.withLock { $0.append("thread \(thread): other values") } }
        // A failure's reason is its own thread's.
        _ = try? HDF5File.open("\(path)/none.h5")
      } catch {
        wrong.withLock { $0.append("thread \(thread): \(error)") }
      }
    }
  }
  #expect(wrong.withLock { $0 }.isEmpty, "\(wrong.withLock { $0 })")
}

@Test func aFlippedBitOrATruncationAnywhereIsFoundBeforeHDF5SeesTheFile() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/c.h5"
  try makeCheckpoint().write(to: path)
  let bytes = FileManager.default.contents(atPath: path) ?? Data()
  for trial in 0..<200 {
    var damaged = bytes
    if trial % 2 == 0 {
      damaged[(trial * 7919 + 13) % bytes.count] ^= UInt8(1 << (trial % 8))
    } else {
      damaged = bytes.prefix((trial * 104_729) % bytes.count)
    }
    try damaged.write(to: URL(fileURLWithPath: path))
    let failure = #expect(throws: Failure.self) { try Checkpoint.read(path) }
    #expect(failure?.code == .badData && failure?.message.contains(path) == true)
  }
}

@Test func theNewestSoundCheckpointIsUsedAndTheBestIsNeverCounted() throws {
  let folder = try TemporaryFolder()
  let checkpoints = CheckpointFolder(path: "\(folder.path)/checkpoints", keep: 2)
  for step in 1...5 {
    try checkpoints.write(makeCheckpoint(Float(step)), step: step, isBest: step == 2, bestStep: step >= 2 ? 2 : nil)
  }
  #expect(try checkpoints.steps() == [5, 4, 2])
  let names = Set(try FileManager.default.contentsOfDirectory(atPath: checkpoints.path))
  #expect(names == ["step-000000002.h5", "step-000000004.h5", "step-000000005.h5", "last.h5", "best.h5"])
  let last = try Checkpoint.read(checkpoints.last).model.first { $0.name == "side.patch.weight" }
  let best = try Checkpoint.read(checkpoints.best).model.first { $0.name == "side.patch.weight" }
  #expect(last?.values[0] == 5 && best?.values[0] == 2)
  var bytes = FileManager.default.contents(atPath: checkpoints.file(step: 5)) ?? Data()
  bytes[bytes.count - 1] ^= 1
  unlink(checkpoints.file(step: 5))
  try bytes.write(to: URL(fileURLWithPath: checkpoints.file(step: 5)))
  var damage: [String] = []
  let newest = try checkpoints.newest { damage.append($0) }
  #expect(newest?.step == 4 && damage.count == 1 && damage[0].contains("step-000000005.h5"))
}

@Test func aDamagedLaterCheckpointNeverPushesASoundOneOut() throws {
  let folder = try TemporaryFolder()
  let checkpoints = CheckpointFolder(path: "\(folder.path)/checkpoints", keep: 1)
  try checkpoints.write(makeCheckpoint(1), step: 4, isBest: false, bestStep: nil)
  try Data().write(to: URL(fileURLWithPath: checkpoints.file(step: 9)))
  try checkpoints.write(makeCheckpoint(2), step: 6, isBest: false, bestStep: nil)
  var damaged: [String] = []
  #expect(try checkpoints.newest { damaged.append($0) }?.step == 6)
  #expect(damaged.count == 1 && damaged.first?.contains("step-000000009.h5") == true)
}

@Test func filesOfOtherNamesThanItsOwnAreNoneOfAFoldersCheckpoints() throws {
  let folder = try TemporaryFolder()
  let checkpoints = CheckpointFolder(path: folder.path, keep: 1)
  let foreign = [
    "step--00000001.h5", "step-+00000001.h5", "step-1.h5", "step-0000000001.h5", "step-99999999999.h5", "step-.h5",
  ]
  for name in foreign { try Data("mine".utf8).write(to: URL(fileURLWithPath: "\(folder.path)/\(name)")) }
  #expect(try checkpoints.steps().isEmpty)
  for step in [3, 7] { try checkpoints.write(makeCheckpoint(1), step: step, isBest: false, bestStep: nil) }
  #expect(try checkpoints.steps() == [7])
  let names = Set(try FileManager.default.contentsOfDirectory(atPath: folder.path))
  #expect(names == Set(foreign + ["step-000000007.h5", "last.h5"]))
}

@Test func aKilledWriterLeavesTheOldCheckpointAndItsTemporaryIsSwept() throws {
  let folder = try TemporaryFolder()
  let checkpoints = CheckpointFolder(path: folder.path, keep: 2)
  try checkpoints.write(makeCheckpoint(), step: 1, isBest: false, bestStep: nil)
  try "half".write(toFile: "\(checkpoints.file(step: 2)).tmp-1", atomically: false, encoding: .utf8)
  checkpoints.sweep()
  #expect(try checkpoints.newest { _ in }?.step == 1)
  #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 2)
}

@Test func aFolderThatCannotBeWrittenIsNamed() {
  let failure = #expect(throws: Failure.self) { try makeCheckpoint().write(to: "/proc/nowhere/c.h5") }
  #expect(failure?.code == .cannotWrite && failure?.message.contains("/proc/nowhere") == true)
}

private let layout = CacheLayout(side: 4, tokens: 4, width: 3, layers: [0, 2], type: .float32)

private func fingerprint(_ encoder: String = "e") -> CacheFingerprint {
  CacheFingerprint(
    encoderSHA256: encoder, encoderSettings: "{}", viewDefinition: "{}", datasetSHA256: "d", firstLoRABlock: 3,
    layout: layout)
}

private let rows = (1...7).flatMap { id in (0..<2).map { CacheRow(imageID: id, view: $0) } }

/// Writes rows of this rank's work; the values are the row's own.
private func fill(
  _ cache: FeatureCache, rank: Int, world: Int, wanting wanted: [CacheRow] = rows, most: Int = .max
) throws {
  let work = try cache.plan(wanted, rank: rank, world: world)
  let payload = UnsafeMutableRawBufferPointer.allocate(byteCount: cache.rowBytes, alignment: 64)
  defer { payload.deallocate() }
  for (index, key) in work.rows.enumerated().prefix(most) {
    let value = Float(key.imageID * 10 + key.view)
    let features = [Float](repeating: value, count: 15)
    try features.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      try cache.pack(
        payload, pixels: [UInt8](repeating: UInt8(key.imageID), count: 48), layers: [base, base], tail: base, key: key)
    }
    try cache.write(work, index, UnsafeRawBufferPointer(payload))
    try cache.commit(work, index..<(index + 1))
  }
}

private func read(_ cache: FeatureCache, _ key: CacheRow) throws -> (pixel: UInt8, layer: Float, tail: Float) {
  let payload = UnsafeMutableRawBufferPointer.allocate(byteCount: cache.rowBytes, alignment: 64)
  defer { payload.deallocate() }
  try cache.read(key, into: payload)
  var (first, second, tail) = (
    [Float](repeating: 0, count: 12), [Float](repeating: 0, count: 12), [Float](repeating: 0, count: 15)
  )
  first.withUnsafeMutableBufferPointer { a in
    second.withUnsafeMutableBufferPointer { b in
      tail.withUnsafeMutableBufferPointer { t in
        guard let base = payload.baseAddress, let a = a.baseAddress, let b = b.baseAddress, let t = t.baseAddress else {
          return
        }
        cache.unpack(base, layers: [a, b], tail: t)
      }
    }
  }
  return (payload[47], second[11], tail[14])
}

@Test func aRowsChecksumIsZlibsOverItsBytes() throws {
  let folder = try TemporaryFolder()
  let writer = FeatureCache(folder: folder.path, fingerprint: fingerprint(), probe: builtProgram("ala"))
  _ = try writer.open(wanting: rows)
  try fill(writer, rank: 0, world: 1)
  let file = try HDF5File.open("\(folder.path)/shard-00000-of-00001.h5")
  let stored = try file.readArray("crc32", .uint32, of: UInt32.self)
  // zlib.crc32(struct.pack("<ii", 1, 0) + bytes([1]) * 48 + struct.pack("<f", 10) * 39) in Python.
  #expect(stored[0] == 0x764C_C2C9)
}

@Test func aCacheOfManyWorldSizesReadsAsOneAndLosesNothingWhenInterrupted() throws {
  let folder = try TemporaryFolder()
  for (world, most) in [(2, 3), (3, 1), (2, 1), (1, .max)] {
    let caches = (0..<world).map { _ in
      FeatureCache(folder: folder.path, fingerprint: fingerprint(), probe: builtProgram("ala"))
    }
    _ = try caches[0].repair(wanting: rows)
    for cache in caches { _ = try cache.open(wanting: rows, isWritable: true) }
    for (rank, cache) in caches.enumerated() { try fill(cache, rank: rank, world: world, most: most) }
  }
  let cache = FeatureCache(folder: folder.path, fingerprint: fingerprint(), probe: builtProgram("ala"))
  #expect(try cache.open(wanting: rows) == .complete)
  for key in rows {
    let value = try read(cache, key)
    #expect(
      value.pixel == UInt8(key.imageID) && value.layer == Float(key.imageID * 10 + key.view)
        && value.tail == value.layer)
  }
  try cache.writeIndex(rows)
  #expect(try cache.verify(rows, rank: 0, world: 1).isEmpty)
  let lines = try HDF5Contents("\(folder.path)/index.h5", probe: builtProgram("ala")).lines
  #expect(lines.contains("/h02  float32  [14, 4, 3]") && lines.contains("progress: 14 of 14 rows are written"))
}

@Test func aCacheGetsMoreViewsAndItsDamagedRowsAgainAtWhateverWorldSizeItsShardsHave() throws {
  let folder = try TemporaryFolder()
  let more = rows + (1...7).map { CacheRow(imageID: $0, view: 2) }
  for (world, wanted, damages) in [(3, rows, 0), (2, more, 1), (2, more, 1), (2, rows, 0), (3, more, 1)] {
    let caches = (0..<world).map { _ in
      FeatureCache(folder: folder.path, fingerprint: fingerprint(), probe: builtProgram("ala"))
    }
    for cache in caches { _ = try cache.open(wanting: wanted, isWritable: true) }
    if damages > 0 {
      // A row of a shard of three, whatever the pass's own world size.
      let path = "\(folder.path)/shard-00000-of-00003.h5"
      var bytes = FileManager.default.contents(atPath: path) ?? Data()
      let place = bytes.range(of: Data(repeating: 2, count: 48))?.lowerBound ?? 0
      bytes[place + 1] ^= 1
      try bytes.write(to: URL(fileURLWithPath: path))
      for cache in caches { _ = try cache.open(wanting: wanted, isWritable: true) }
      _ = try caches[0].recheck(rank: 0, world: 1)
      for cache in caches { _ = try cache.open(wanting: wanted, isWritable: true) }
    }
    for (rank, cache) in caches.enumerated() { try fill(cache, rank: rank, world: world, wanting: wanted) }
    let cache = FeatureCache(folder: folder.path, fingerprint: fingerprint(), probe: builtProgram("ala"))
    #expect(try cache.open(wanting: wanted) == .complete)
    for key in wanted { #expect(try read(cache, key).tail == Float(key.imageID * 10 + key.view)) }
    try cache.writeIndex(wanted)
    #expect(try cache.verify(wanted, rank: 0, world: 1).isEmpty)
  }
}

@Test func everyDamagedRowIsFoundWhenItIsRead() throws {
  let folder = try TemporaryFolder()
  let writer = FeatureCache(folder: folder.path, fingerprint: fingerprint(), probe: builtProgram("ala"))
  #expect(try writer.open(wanting: rows) == .absent)
  try fill(writer, rank: 0, world: 1)
  let path = "\(folder.path)/shard-00000-of-00001.h5"
  var bytes = FileManager.default.contents(atPath: path) ?? Data()
  let place = bytes.range(of: Data(repeating: 3, count: 48))?.lowerBound ?? 0
  bytes[place + 5] ^= 4
  try bytes.write(to: URL(fileURLWithPath: path))
  let cache = FeatureCache(folder: folder.path, fingerprint: fingerprint(), probe: builtProgram("ala"))
  #expect(try cache.open(wanting: rows, isWritable: true) == .complete)
  let failure = #expect(throws: Failure.self) { try read(cache, CacheRow(imageID: 3, view: 0)) }
  #expect(failure?.code == .badData && failure?.message.contains("image 3, view 0") == true)
  #expect(try read(cache, CacheRow(imageID: 4, view: 1)).tail == 41)
  #expect(try cache.recheck(rank: 0, world: 1) == 1)
  #expect(try cache.open(wanting: rows) == .incomplete(written: 13, total: 14))
}

@Test func aShardThatIsRemovedWhileItIsReadIsMissed() throws {
  let folder = try TemporaryFolder()
  let writer = FeatureCache(folder: folder.path, fingerprint: fingerprint(), probe: builtProgram("ala"))
  _ = try writer.open(wanting: rows)
  try fill(writer, rank: 0, world: 1)
  let cache = FeatureCache(folder: folder.path, fingerprint: fingerprint(), probe: builtProgram("ala"))
  #expect(try cache.open(wanting: rows) == .complete)
  #expect(try read(cache, rows[0]).tail == 10)
  let path = "\(folder.path)/shard-00000-of-00001.h5"
  try FileManager.default.removeItem(atPath: path)
  let failure = #expect(throws: Failure.self) { try read(cache, rows[0]) }
  #expect(failure?.code == .missingInput && failure?.message.contains(path) == true)
}

@Test func aStaleCacheIsNamedWithItsDifference() throws {
  let folder = try TemporaryFolder()
  let writer = FeatureCache(folder: folder.path, fingerprint: fingerprint(), probe: builtProgram("ala"))
  _ = try writer.open(wanting: rows)
  try fill(writer, rank: 0, world: 1)
  let other = FeatureCache(folder: folder.path, fingerprint: fingerprint("another"), probe: builtProgram("ala"))
  guard case .stale(let text) = try other.open(wanting: rows) else {
    Issue.record("a stale cache was taken")
    return
  }
  #expect(text.contains("encoder_sha256 is e, this run has another"))
}

@Test func aLockKeepsASecondRunOutAndIsGoneWithItsHolder() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/.lock"
  let holder = Process()
  holder.executableURL = URL(fileURLWithPath: "/usr/bin/flock")
  holder.arguments = [path, "sleep", "30"]
  try holder.run()
  while !FileManager.default.fileExists(atPath: path) { usleep(1_000) }
  usleep(200_000)
  var told: [String] = []
  _ = try RunLock(path: path) { text in
    told.append(text)
    // The kernel drops the lock of a killed process, and of its child.
    _ = try? run("/usr/bin/pkill", ["-KILL", "-P", "\(holder.processIdentifier)"])
    kill(holder.processIdentifier, SIGKILL)
  }
  #expect(told.count == 1 && told[0].contains(path))
}
