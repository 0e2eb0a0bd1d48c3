import Foundation
import Storage
import TestSupport
import Testing

/// A cache whose files are damaged is mended by the next `ala cache`, and harms nothing until then.

/// A finished cache of two ranks, and what its files were.
private struct CacheBench {
  let bench: TrainingBench
  let folder: String
  private let sound: [String: [UInt8]]

  static let shard = "shard-00001-of-00002.h5"

  init() throws {
    bench = try TrainingBench(lanes: 4, cache: "yes", extra: "run: {patience_seconds: 60}")
    folder = "\(bench.folder.path)/cache"
    let made = try bench.ala("cache", ranks: 2, run: "run")
    try #require(made.code == 0, "\(made.errors)")
    sound = try Self.files(folder)
  }

  private static func files(_ folder: String) throws -> [String: [UInt8]] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".h5") }
    return Dictionary(
      uniqueKeysWithValues: try names.map {
        ($0, [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\($0)"))))
      })
  }

  func bytes(_ name: String) -> [UInt8] { sound[name] ?? [] }

  func put(_ bytes: [UInt8], _ name: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
  }

  /// Names of the files whose bytes are not what they were.
  func changed() throws -> [String] {
    let now = try Self.files(folder)
    return Set(sound.keys).union(now.keys).filter { sound[$0] != now[$0] }.sorted()
  }

  /// Puts the undisturbed cache back.
  func restore() throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.contains(".h5") {
      try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
    }
    for (name, bytes) in sound { try put(bytes, name) }
  }
}

@Test func aDamagedShardOrIndexIsSetAsideAndMadeAnewWithTheSameBits() throws {
  let cache = try CacheBench()
  let shard = CacheBench.shard
  let whole = cache.bytes(shard)
  var beheaded = whole
  beheaded.replaceSubrange(0..<8, with: [UInt8](repeating: 0, count: 8))
  var ofAnother = cache.bytes("index.h5")
  // The attribute's value in the index, whose objects have checksums: damage, too.
  let place = try #require(Data(ofAnother).range(of: Data("ala-feature-cache".utf8)))
  ofAnother[place.lowerBound] ^= 1
  let later = "\(cache.bench.folder.path)/later.h5"
  let file = try HDF5File.create(later)
  try file.write([("format", .text("ala-feature-cache")), ("version", .integer(2))])
  try file.close()
  let ofLaterVersion = [UInt8](try Data(contentsOf: URL(fileURLWithPath: later)))
  let damages: [(name: String, bytes: [UInt8])] = [
    ("index.h5", ofLaterVersion),
    (shard, []), (shard, Array(whole.prefix(whole.count / 2))), (shard, beheaded), ("index.h5", []),
    ("index.h5", ofAnother), ("index.h5", Array(cache.bytes("index.h5").prefix(700))),
  ]
  for (index, damage) in damages.enumerated() {
    try cache.put(damage.bytes, damage.name)
    let verified = try cache.bench.ala("cache", run: "run", ["--verify"])
    #expect(verified.code == 65 && verified.errors.contains(damage.name), "\(index): \(verified.errors)")
    let mended = try cache.bench.ala("cache", ranks: 2, run: "run")
    #expect(mended.code == 0 && mended.errors.contains("\(damage.name).damaged"), "\(index): \(mended.errors)")
    #expect(try cache.changed() == [], "\(index)")
    let kept = FileManager.default.contents(atPath: "\(cache.folder)/\(damage.name).damaged").map { [UInt8]($0) }
    #expect(kept == damage.bytes, "\(index)")
    try cache.restore()
  }
}

@Test func aShardThatIsGoneCostsItsOwnRowsOnly() throws {
  let cache = try CacheBench()
  try FileManager.default.removeItem(atPath: "\(cache.folder)/\(CacheBench.shard)")
  let other = "\(cache.folder)/shard-00000-of-00002.h5"
  let before = try FileManager.default.attributesOfItem(atPath: other)[.modificationDate] as? Date
  let mended = try cache.bench.ala("cache", ranks: 2, run: "run")
  #expect(mended.code == 0, "\(mended.errors)")
  #expect(try cache.changed() == [])
  #expect(try FileManager.default.attributesOfItem(atPath: other)[.modificationDate] as? Date == before)
}

@Test func rowsWhoseImageOrViewIsDamagedAreMadeAnewInTheirPlaces() throws {
  let cache = try CacheBench()
  var bytes = cache.bytes(CacheBench.shard)
  let list = try run(cache.bench.program, ["inspect", "\(cache.folder)/\(CacheBench.shard)"])
  #expect(list.code == 0)
  // The list of views of training images: 0, 1, 2, 3 and over again, four bytes each.
  let views = (0..<8).flatMap { index -> [UInt8] in [UInt8(index % 4), 0, 0, 0] }
  let place = try #require(Data(bytes).range(of: Data(views))?.lowerBound)
  for index in [1, 5, 6] { bytes[place + 4 * index] = 0 }
  try cache.put(bytes, CacheBench.shard)
  let mended = try cache.bench.ala("cache", ranks: 2, run: "run")
  #expect(mended.code == 0, "\(mended.errors)")
  #expect(try cache.changed() == [])
}

@Test func aShardThatIsNotToBeReadIsSetAside() throws {
  guard getuid() == 0 else {
    print("skipped: only root can take a file's owner away")
    return
  }
  let cache = try CacheBench()
  let root = cache.bench.folder.path
  chmod("\(cache.folder)/\(CacheBench.shard)", 0)
  // Another user's, who may rename what lies in the folder.
  for path in FileManager.default.enumerator(atPath: root)?.compactMap({ $0 as? String }) ?? [] {
    chown("\(root)/\(path)", 65534, 65534)
  }
  chown(root, 65534, 65534)
  let arguments = ["cache", "--config", "\(root)/c.yaml", "--threads", "1"]
  let mended = try run(
    "/usr/bin/setpriv", ["--reuid", "65534", "--clear-groups", cache.bench.program] + arguments)
  #expect(mended.code == 0 && mended.errors.contains("\(CacheBench.shard).damaged"), "\(mended.errors)")
  #expect(FileManager.default.fileExists(atPath: "\(cache.folder)/\(CacheBench.shard).damaged"))
  let verified = try cache.bench.ala("cache", run: "run", ["--verify"])
  #expect(verified.code == 0, "\(verified.errors)")
}

@Test func whateverIsChangedInACacheNothingDiesOfItAndItIsMended() throws {
  let cache = try CacheBench()
  var draws = Draws(11)
  for trial in 0..<36 {
    let name = trial % 3 == 0 ? "index.h5" : CacheBench.shard
    var bytes = cache.bytes(name)
    for _ in 0..<(1 + draws.next(below: 6)) {
      let reach = min([512, 4096, bytes.count][draws.next(below: 3)], bytes.count)
      bytes[draws.next(below: reach)] = UInt8(draws.next(below: 256))
    }
    try cache.put(bytes, name)
    let verified = try cache.bench.ala("cache", run: "run", ["--verify"])
    #expect([0, 65].contains(verified.code), "\(trial): \(verified.code) \(verified.errors)")
    let mended = try cache.bench.ala("cache", run: "run")
    #expect(mended.code == 0, "\(trial): \(mended.code) \(mended.errors)")
    let again = try cache.bench.ala("cache", run: "run", ["--verify"])
    #expect(again.code == 0, "\(trial): \(again.errors)")
    try cache.restore()
    unlink("\(cache.folder)/shard-00000-of-00001.h5")
  }
}

@Test func aRunOnADamagedCacheGoesOnLiveAndSaysWhatMendsIt() throws {
  let cache = try CacheBench()
  try cache.put(Array(cache.bytes(CacheBench.shard).prefix(3000)), CacheBench.shard)
  let trained = try cache.bench.ala("train", run: "run", ["--stop-after-steps", "1"])
  #expect(
    trained.code == 0 && trained.errors.contains(CacheBench.shard) && trained.errors.contains("`ala cache`"),
    "\(trained.errors)")
}

/// All its rows are sound, but they are the other's, and its own are missing.
@Test(arguments: [(0, 1), (1, 0)]) func aShardThatLiesInAnothersPlaceIsSetAsideAndTheOthersRowsAreMadeAnew(
  from: Int, to: Int
) throws {
  let cache = try CacheBench()
  let names = [from, to].map { "shard-0000\($0)-of-00002.h5" }
  try cache.put(cache.bytes(names[0]), names[1])
  let verified = try cache.bench.ala("cache", run: "run", ["--verify"])
  #expect(verified.code == 65, "\(verified.errors)")
  let mended = try cache.bench.ala("cache", ranks: 2, run: "run")
  #expect(mended.code == 0, "\(mended.errors)")
  #expect(mended.errors.contains("\(names[1]): holds the rows of \(names[0])"), "\(mended.errors)")
  #expect(try cache.changed() == [])
}
