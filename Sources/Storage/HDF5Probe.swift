import Failures
import Files
import Foundation
import Machine

/// The part of `ForeignHDF5` that happens in the child: damaged or hostile metadata can make the library loop or crash,
/// and then takes nothing but this process with it.
public enum HDF5Probe {
  /// The hidden command under which `ala` looks into files and ends.
  public static let command = "probe-hdf5"
  /// Of processor time.
  static let seconds = 20
  /// Of any time, on a machine or a disk that is busy with other things.
  static let patience = 60.0
  /// What is written before the first file is looked at: how a process ends without that is not the files' fault.
  static let sign = UInt8(ascii: "!")
  /// The signals by which a process ends over what it reads; others come from elsewhere.
  static let crashes: Set<Int32> = [SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTRAP, SIGSYS]
  /// Beyond what the program itself takes, in bytes, whatever is read.
  private static let mostMemory = 5 << 30
  /// Of data sets that are read at a time.
  static let mostBytes = 1 << 32
  /// Of what is in files.
  private static let mostListing = 1 << 28

  /// What the child is asked.
  enum Request {
    /// What is in each file.
    case list([String])
    /// The values of data sets, one after the other.
    case read(String, datasets: [String], HDF5Type)

    var arguments: [String] {
      switch self {
      case .list(let paths): [command, "list"] + paths
      case .read(let path, let datasets, let type): [command, "read", path, type.rawValue] + datasets
      }
    }

    /// Bytes that an answer may have.
    var mostAnswer: Int {
      switch self {
      case .list: HDF5Probe.mostListing
      case .read: HDF5Probe.mostBytes
      }
    }

    /// Of what the first look into its files may take, in bytes.
    var room: Int { HDF5Probe.roomToLook(into: paths) }

    fileprivate var paths: [String] {
      switch self {
      case .list(let paths): paths
      case .read(let path, _, _): [path]
      }
    }

    init?(_ arguments: [String]) {
      guard arguments.first == command, arguments.count > 2 else { return nil }
      switch arguments[1] {
      case "list": self = .list(Array(arguments.dropFirst(2)))
      case "read":
        guard arguments.count > 4, let type = HDF5Type(rawValue: arguments[3]) else { return nil }
        self = .read(arguments[2], datasets: Array(arguments.dropFirst(4)), type)
      default: return nil
      }
    }
  }

  /// Where the arguments are a request, answers it on standard output and ends the process: with 0, or with a sentence and
  /// 1, or 66 or 69 where a file could not be read, which says nothing of what is in it; without a word and with 65 where it
  /// calls for more memory than it gets here.
  ///
  /// - Parameter limitOfOwn: told of each limit on the address space that is set here and not by who has started the process;
  ///   the allocator ends the process with 65 there.
  public static func answer(_ arguments: [String], limitOfOwn: @escaping (Int) -> Void) {
    guard let request = Request(arguments) else { return }
    HeldSignals.release()
    // At the harder limit the signal would be that of anybody.
    limit(RLIMIT_CPU.rawValue, seconds, hard: seconds + 1)
    limit(RLIMIT_CORE.rawValue, 0)
    limit(RLIMIT_AS.rawValue, addressSpace() + mostMemory)
    takeAtMost(roomToLook(into: request.paths), limitOfOwn)
    HDF5File.confine()
    do {
      try withUnsafeBytes(of: sign) { try writeFully($0, to: STDOUT_FILENO, path: "standard output") }
      try answer(request, limitOfOwn)
      exit(0)
    } catch {
      let failure = error as? Failure ?? .badData("\(error)")
      StandardOutput.note(failure.message)
      exit(failure.code == .missingInput || failure.code == .unavailable ? failure.code.rawValue : 1)
    }
  }

  /// What this process has taken of its own, in bytes.
  private static func addressSpace() -> Int {
    let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ").first
    return (pages.flatMap { Int($0) } ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// What is in a file takes no more than a multiple of the file itself, whatever its metadata say.
  fileprivate static func roomToLook(into paths: [String]) -> Int {
    let largest =
      paths.compactMap { try? openRegularFile($0) }.map { descriptor, status in
        close(descriptor)
        return Int(status.st_size)
      }.max() ?? 0
    return (256 << 20) + 16 * min(largest, 64 << 20)
  }

  /// Never above what the process was given.
  private static func limit(_ resource: UInt32, _ most: Int, hard: Int? = nil) {
    var limits = rlimit()
    getrlimit(__rlimit_resource_t(resource), &limits)
    limits.rlim_cur = min(limits.rlim_cur, rlim_t(most))
    limits.rlim_max = min(limits.rlim_max, max(limits.rlim_cur, rlim_t(hard ?? 0)))
    setrlimit(__rlimit_resource_t(resource), &limits)
  }

  /// Whether this process, and so its children, may take less processor time than a look at a file may.
  static var hasLessTime: Bool {
    var limits = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_CPU.rawValue), &limits)
    return min(limits.rlim_cur, limits.rlim_max) <= rlim_t(seconds)
  }

  /// Of memory from now on, in bytes; may be raised again, as far as the process's own limit.
  private static func takeAtMost(_ bytes: Int, _ limitOfOwn: (Int) -> Void) {
    var limits = rlimit()
    let memory = __rlimit_resource_t(RLIMIT_AS.rawValue)
    getrlimit(memory, &limits)
    let own = addressSpace() + bytes
    limits.rlim_cur = min(limits.rlim_max, rlim_t(own))
    limitOfOwn(rlim_t(own) <= limits.rlim_max ? own : 0)
    setrlimit(memory, &limits)
  }

  private static func answer(_ request: Request, _ limitOfOwn: (Int) -> Void) throws {
    switch request {
    case .list(let paths):
      let listings = try paths.map { path in
        let file = try HDF5File.open(path)
        let listing = try file.listing()
        try checkSources(of: listing, beside: path)
        return listing
      }
      try StandardOutput.print(String(decoding: try coder().encode(listings), as: UTF8.self))
    case .read(let path, let names, let type):
      let file = try HDF5File.open(path)
      try checkSources(of: try file.listing(), beside: path)
      for name in names { try write(name, type, of: file, limitOfOwn) }
    }
  }

  private static func write(
    _ name: String, _ type: HDF5Type, of file: HDF5File, _ limitOfOwn: (Int) -> Void
  ) throws {
    let dataset = try file.dataset(name)
    guard let bytes = dataset.byteCount(as: type), bytes <= mostBytes else {
      throw Failure.badData("\(file.path): data set \(name) of shape \(dataset.shape) is larger than any of ours")
    }
    // The library's own buffers beside the values.
    takeAtMost(bytes + (512 << 20), limitOfOwn)
    let room = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 1), alignment: 64)
    defer { room.deallocate() }
    // What the library leaves alone, as the rows of a shard that is missing.
    room.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    try file.read(name, type, into: room)
    try writeFully(UnsafeRawBufferPointer(start: room, count: bytes), to: STDOUT_FILENO, path: "standard output")
  }

  /// The files that virtual data sets take their rows from must hold these themselves.
  private static func checkSources(of listing: HDF5Listing, beside path: String) throws {
    let folder = (path as NSString).deletingLastPathComponent
    for name in Set(listing.datasets.flatMap { $0.parts ?? [] }.map(\.file)).sorted() {
      let source = folder.isEmpty ? name : "\(folder)/\(name)"
      guard FileManager.default.fileExists(atPath: source) else { continue }
      guard try HDF5File.open(source).listing().datasets.allSatisfy({ $0.parts == nil }) else {
        throw Failure.badData("\(path): takes rows from \(name), which has none of its own")
      }
    }
  }

  static func coder() -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return encoder
  }

  static func decoder() -> JSONDecoder {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return decoder
  }
}
