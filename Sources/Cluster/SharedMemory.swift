import Failures
import Files
import Foundation

/// Memory that the processes of a machine hold together: one copy of what each would otherwise convert for itself.
extension Cluster {
  /// Makes `byteCount` bytes that local rank 0 fills; the others map the same pages. Nothing has a name on disk
  /// once all have mapped it, so that a kill leaves nothing behind. Where the machine cannot share so much, each of its
  /// ranks fills memory of its own, which `remarks` tells. A process's pages go with its reference to them.
  ///
  /// - Throws: what `fill` throws, on every rank; `Failure` 69 where there is no memory for it.
  public func sharedMemory(
    _ byteCount: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void
  ) throws -> MappedMemory {
    var name = Array("/ala-\(getpid())-\(UInt32.random(in: 0 ... .max))".utf8)
    machineBroadcast(&name)
    let path = String(decoding: name, as: UTF8.self)
    defer { if localRank == 0 { shm_unlink(path) } }
    var memory: UnsafeMutableRawBufferPointer?
    var refusal = Refusal(doing: "", number: 0)
    try agree {
      guard localRank == 0 else { return }
      switch Self.reserve(path, byteCount) {
      case .success(let own):
        try fill(own)
        memory = own
      case .failure(let why): refusal = why
      }
    }
    var number = withUnsafeBytes(of: refusal.number) { Array($0) }
    machineBroadcast(&number)
    let isShared = number.allSatisfy { $0 == 0 }
    if !isShared, localRank == 0 {
      remarks.append(
        "\(refusal.sentence(byteCount)): each rank of this machine keeps a copy of its own (for Docker, --shm-size)")
    }
    try agree {
      if !isShared {
        let own = try Self.privateMemory(byteCount, on: host)
        try fill(own)
        memory = own
      } else if localRank != 0 {
        memory = try Self.open(path, byteCount, on: host)
      }
    }
    guard let memory else { throw Failure.internalError("shared memory was agreed on, and is not there") }
    return MappedMemory(UnsafeRawBufferPointer(memory))
  }

  /// What the system did not do, and its reason (`errno`).
  private struct Refusal: Error {
    let doing: String
    let number: Int32

    func sentence(_ byteCount: Int) -> String {
      "cannot \(doing) \(byteCount >> 20) MiB (\(byteCount) bytes) of shared memory in /dev/shm: \(systemReason(number))"
    }
  }

  /// Memory under a name for the machine's other ranks, whose pages are there to be written.
  private static func reserve(
    _ path: String, _ byteCount: Int
  ) -> Result<UnsafeMutableRawBufferPointer, Refusal> {
    let descriptor = shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
    guard descriptor >= 0 else { return .failure(Refusal(doing: "make", number: errno)) }
    defer { close(descriptor) }
    // Returns its reason and leaves errno alone.
    var status = posix_fallocate(descriptor, 0, off_t(byteCount))
    while status == EINTR { status = posix_fallocate(descriptor, 0, off_t(byteCount)) }
    guard status == 0 else { return .failure(Refusal(doing: "reserve", number: status)) }
    return map(byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor)
  }

  private static func open(_ path: String, _ byteCount: Int, on host: String) throws -> UnsafeMutableRawBufferPointer {
    let descriptor = shm_open(path, O_RDONLY, 0)
    guard descriptor >= 0 else {
      throw Failure.unavailable("\(Refusal(doing: "open", number: errno).sentence(byteCount)), on \(host)")
    }
    defer { close(descriptor) }
    do {
      return try map(byteCount, PROT_READ, MAP_SHARED, descriptor).get()
    } catch {
      throw Failure.unavailable("\(error.sentence(byteCount)), on \(host)")
    }
  }

  private static func privateMemory(_ byteCount: Int, on host: String) throws -> UnsafeMutableRawBufferPointer {
    do {
      return try map(byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1).get()
    } catch {
      throw Failure.unavailable(
        "cannot get \(byteCount >> 20) MiB (\(byteCount) bytes) of memory on \(host): \(systemReason(error.number))"
      )
    }
  }

  private static func map(
    _ byteCount: Int, _ protection: Int32, _ flags: Int32, _ descriptor: Int32
  ) -> Result<UnsafeMutableRawBufferPointer, Refusal> {
    guard let base = mmap(nil, byteCount, protection, flags, descriptor, 0), base != MAP_FAILED else {
      return .failure(Refusal(doing: "map", number: errno))
    }
    return .success(UnsafeMutableRawBufferPointer(start: base, count: byteCount))
  }
}
