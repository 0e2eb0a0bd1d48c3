import Failures
import Files
import Foundation

/// Memory that the processes of a machine hold together: one copy of what each would otherwise convert for itself.
extension Cluster {
  /// Makes `byteCount` bytes that local rank 0 fills; the others map the same pages. Nothing has a name on disk
  /// once all have mapped it, so that a kill leaves nothing behind; a process's pages go with its reference to them.
  ///
  /// - Throws: what `fill` throws, on every rank; `Failure` 69 where memory cannot be shared.
  public func sharedMemory(
    _ byteCount: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void
  ) throws -> MappedMemory {
    var name = Array("/ala-\(getpid())-\(UInt32.random(in: 0 ... .max))".utf8)
    machineBroadcast(&name)
    let path = String(decoding: name, as: UTF8.self)
    func failed(_ doing: String) -> Failure {
      Failure.unavailable(
        "cannot \(doing) \(byteCount) bytes of shared memory on \(host): \(systemReason())")
    }
    func map(_ descriptor: Int32, _ protection: Int32) throws -> UnsafeMutableRawBufferPointer {
      guard let base = mmap(nil, byteCount, protection, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
        throw failed("map")
      }
      return UnsafeMutableRawBufferPointer(start: base, count: byteCount)
    }
    var memory: UnsafeMutableRawBufferPointer?
    defer { if localRank == 0 { shm_unlink(path) } }
    try agree {
      guard localRank == 0 else { return }
      let descriptor = shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
      guard descriptor >= 0 else { throw failed("make") }
      defer { close(descriptor) }
      guard posix_fallocate(descriptor, 0, off_t(byteCount)) == 0 else { throw failed("reserve") }
      let own = try map(descriptor, PROT_READ | PROT_WRITE)
      try fill(own)
      memory = own
    }
    try agree {
      guard localRank != 0 else { return }
      let descriptor = shm_open(path, O_RDONLY, 0)
      guard descriptor >= 0 else { throw failed("open") }
      defer { close(descriptor) }
      memory = try map(descriptor, PROT_READ)
    }
    guard let memory else { throw failed("find") }
    return MappedMemory(UnsafeRawBufferPointer(memory))
  }
}
