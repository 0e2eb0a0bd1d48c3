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

  func hasSetAside() throws -> Bool {
    try FileManager.default.contentsOfDirectory(atPath: folder).contains { $0.contains(".damaged") }
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

@Test func aShardOrAnIndexThatThisUserMayNotReadIsLeftAsItIs() throws {
  guard getuid() == 0 else {
    print("skipped: only root can make another user's files")
    return
  }
  let cache = try CacheBench()
  let root = cache.bench.folder.path
  // Another user's, who may rename what lies in the folder.
  for path in FileManager.default.enumerator(atPath: root)?.compactMap({ $0 as? String }) ?? [] {
    chown("\(root)/\(path)", 65534, 65534)
  }
  chown(root, 65534, 65534)
  let arguments = ["cache", "--config", "\(root)/c.yaml", "--threads", "1"]
  for name in [CacheBench.shard, "index.h5", ""] {
    chown("\(cache.folder)/\(name)", 0, 0)
    // Of the folder: where names may be made and looked up, but not listed.
    chmod("\(cache.folder)/\(name)", name.isEmpty ? 0o733 : 0o600)
    let refused = try run(
      "/usr/bin/setpriv", ["--reuid", "65534", "--clear-groups", cache.bench.program] + arguments)
    #expect(refused.code == 66 && refused.errors.contains("Permission denied"), "\(refused.code) \(refused.errors)")
    #expect(refused.errors.contains(name.isEmpty ? cache.folder : "\(cache.folder)/\(name)"), "\(refused.errors)")
    #expect(try cache.changed() == [] && !cache.hasSetAside(), "\(name)")
    chown("\(cache.folder)/\(name)", 65534, 65534)
  }
}

/// A system whose calls fail for a file, for reasons that say nothing of what is in it.
private struct FaultySystem {
  let library: String

  /// Nil where there is no C compiler.
  init?(_ folder: String) throws {
    let compilers = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"]
    guard let compiler = compilers.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
      return nil
    }
    library = "\(folder)/faulty.so"
    try """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <stdarg.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>
    static int fails(const char *call, const char *path) {
      const char *wanted = getenv("FAULT_CALL"), *mark = getenv("FAULT_FILE"), *number = getenv("FAULT_NUMBER");
      if (!wanted || !mark || !number || !path || strcmp(wanted, call) || !strstr(path, mark)) return 0;
      errno = atoi(number);
      return 1;
    }
    static int fails_open(int descriptor) {
      char name[64], path[4096];
      snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
      ssize_t count = readlink(name, path, sizeof path - 1);
      if (count < 0) return 0;
      path[count] = 0;
      return fails("read", path);
    }
    #define OPEN(name) int name(const char *path, int flags, ...) { \\
      va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \\
      if (fails("open", path)) return -1; \\
      return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name))(path, flags, mode); }
    OPEN(open)
    OPEN(open64)
    #define READ(name) ssize_t name(int descriptor, void *to, size_t count, off_t at) { \\
      if (fails_open(descriptor)) return -1; \\
      return ((ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, #name))(descriptor, to, count, at); }
    READ(pread)
    READ(pread64)
    """.write(toFile: "\(folder)/faulty.c", atomically: true, encoding: .utf8)
    let made = try run(compiler, ["-shared", "-fPIC", "-O1", "-o", library, "\(folder)/faulty.c", "-ldl"])
    try #require(made.code == 0, "\(made.errors)")
  }
}

@Test func whatTheSystemDoesNotReadIsLeftAsItIsWhateverItsReason() throws {
  let cache = try CacheBench()
  guard let system = try FaultySystem(cache.bench.folder.path) else {
    print("skipped: there is no C compiler")
    return
  }
  let faults: [(call: String, file: String, number: Int32, code: Int32)] = [
    ("open", CacheBench.shard, EIO, 66), ("open", CacheBench.shard, ESTALE, 66), ("open", "index.h5", EACCES, 66),
    ("open", CacheBench.shard, EINTR, 66), ("open", CacheBench.shard, EMFILE, 69), ("open", "index.h5", ENFILE, 69),
    ("open", CacheBench.shard, ENOMEM, 69), ("read", CacheBench.shard, EIO, 66), ("read", "index.h5", ETIMEDOUT, 66),
    ("read", CacheBench.shard, ENOMEM, 69),
  ]
  for fault in faults {
    let environment = [
      "LD_PRELOAD": system.library, "FAULT_CALL": fault.call, "FAULT_FILE": fault.file,
      "FAULT_NUMBER": "\(fault.number)",
    ]
    let result = try run(
      cache.bench.program,
      ["cache", "--config", "\(cache.bench.folder.path)/c.yaml", "--threads", "1"], environment: environment)
    #expect(result.code == fault.code, "\(fault): \(result.code) \(result.errors)")
    let reason = String(cString: strerror(fault.number))
    #expect(
      result.errors.contains("\(cache.folder)/\(fault.file): ") && result.errors.contains(reason),
      "\(fault): \(result.errors)")
    #expect(try cache.changed() == [] && !cache.hasSetAside(), "\(fault)")
  }
}

@Test func aLimitOnDescriptorsSetsNothingAside() throws {
  let cache = try CacheBench()
  let command = [cache.bench.program, "cache", "--config", "\(cache.bench.folder.path)/c.yaml", "--threads", "1"]
  var codes: Set<Int32> = []
  for most in [3, 4, 5, 8, 16, 64] {
    let result = try run("/usr/bin/prlimit", ["--nofile=\(most):\(most)"] + command)
    // The system's loader ends a program whose libraries it cannot open with 127.
    #expect([0, 69, 127].contains(result.code), "\(most): \(result.code) \(result.errors)")
    #expect(try cache.changed() == [] && !cache.hasSetAside(), "\(most)")
    codes.insert(result.code)
  }
  #expect(codes.contains(69) && codes.contains(0), "\(codes)")
}

@Test func aRunThatCannotLookAtItsCacheEndsAndDoesNotTrainLive() throws {
  let cache = try CacheBench()
  let root = cache.bench.folder.path
  let descriptor = open("\(cache.folder)/\(CacheBench.shard)", O_RDWR)
  defer { close(descriptor) }
  #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
  let locked = try cache.bench.ala("train", ranks: 2, run: "locked", ["--stop-after-steps", "1"])
  #expect(locked.code == 69 && locked.errors.contains("\(CacheBench.shard): is locked"), "\(locked.errors)")
  #expect(flock(descriptor, LOCK_UN) == 0)
  let command = [cache.bench.program, "train", "--config", "\(root)/c.yaml", "--threads", "1"]
  var codes: Set<Int32> = []
  for most in [8, 12, 16, 64] {
    let result = try run(
      "/usr/bin/prlimit",
      ["--nofile=\(most):\(most)"] + command
        + ["--stop-after-steps", "1", "--set", "run.dir=\(root)/run-\(most)"])
    #expect([0, 69, 127].contains(result.code), "\(most): \(result.code) \(result.errors)")
    #expect(!result.errors.contains("training live"), "\(most): \(result.errors)")
    codes.insert(result.code)
  }
  #expect(codes.contains(69) && codes.contains(0), "\(codes)")
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
