import Failures
import Foundation
import Storage
import TestSupport
import Testing

/// The lock of a run's folder on a file system without locks, and HDF5 files that others hold.

private let unsupported: [Int32] = [ENOLCK, ENOSYS, EOPNOTSUPP]

private func lock(
  _ path: String, patience: Double = 0.3, errno number: Int32 = ENOLCK, told: (String) -> Void = { _ in }
) throws -> RunLock {
  try RunLock(path: path, patience: patience, attempt: { _ in .unsupported(number) }, warn: told)
}

private func failure(_ body: () throws -> Void) -> Failure? {
  do {
    try body()
    return nil
  } catch {
    return error as? Failure
  }
}

/// The owner as another process would have it.
private func owner(
  host: String? = nil, boot: String? = nil, namespace: String?? = .none, pid: Int32? = nil, start: String? = nil
) -> RunOwner {
  let own = RunOwner.current()
  return RunOwner(
    host: host ?? own.host, boot: boot ?? own.boot, pidNamespace: namespace ?? own.pidNamespace, pid: pid ?? own.pid,
    processStart: start ?? own.processStart, since: own.since - 7000, command: "ala train --config other.yaml")
}

@Test(arguments: unsupported) func withoutLocksAnOwnerFileKeepsASecondRunOut(number: Int32) throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/.lock"
  var told: [String] = []
  let first = try lock(path, errno: number) { told.append($0) }
  #expect(told.count == 1 && told[0].contains("no locks") && told[0].contains(String(cString: strerror(number))))
  #expect(RunOwner(path: "\(path).owner")?.pid == getpid())
  let second = failure { _ = try lock(path, errno: number) }
  #expect(second?.code == .cannotWrite)
  #expect(second?.message.contains("pid \(getpid()) on ") == true, "\(second as Any)")
  withExtendedLifetime(first) {}
}

@Test func anOwnerFileGoesWithItsRun() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/.lock"
  do { _ = try lock(path) }
  #expect(!FileManager.default.fileExists(atPath: "\(path).owner"))
  _ = try lock(path)
}

@Test func theOwnerFileOfAProcessOfThisHostThatHasEndedIsTakenOver() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/.lock"
  // No such process; another process of the same id; a process of before the host's last start.
  for gone in [owner(pid: 4_194_303), owner(start: "1"), owner(boot: "earlier")] {
    try gone.text.write(toFile: "\(path).owner", atomically: true, encoding: .utf8)
    var told: [String] = []
    let taken = try lock(path) { told.append($0) }
    #expect(told.last?.contains("ala train --config other.yaml") == true, "\(told)")
    #expect(RunOwner(path: "\(path).owner")?.pid == getpid())
    withExtendedLifetime(taken) {}
  }
  #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [".lock"])
}

@Test func theOwnerFileOfAnotherHostIsRefusedWithItsAgeAndWhatToRemove() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/.lock"
  try owner(host: "elsewhere", pid: 4_194_303).text.write(
    toFile: "\(path).owner", atomically: true, encoding: .utf8)
  let refused = failure { _ = try lock(path) }
  #expect(refused?.code == .cannotWrite)
  for part in ["\(path).owner", "on elsewhere", "for 116 min", "ala train --config other.yaml", "remove this file"] {
    #expect(refused?.message.contains(part) == true, "\(refused as Any)")
  }
  #expect(RunOwner(path: "\(path).owner")?.host == "elsewhere")
}

/// Containers with the host's name, whose processes are not seen from one another; and owners of before that was told.
@Test(arguments: ["pid:[1]", nil]) func theOwnerFileOfAnotherNamespaceOfProcessesIsRefused(namespace: String?) throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/.lock"
  try owner(namespace: .some(namespace), pid: 4_194_303).text.write(
    toFile: "\(path).owner", atomically: true, encoding: .utf8)
  let refused = failure { _ = try lock(path) }
  #expect(refused?.code == .cannotWrite && refused?.message.contains("remove this file") == true, "\(refused as Any)")
  #expect(RunHolder.description(of: folder.path) != nil)
}

@Test(arguments: [false, true]) func aLockFileThatIsRemovedOrReplacedUnderItsRunIsSeen(isReplaced: Bool) throws {
  let folder = try TemporaryFolder()
  for (name, make) in [
    (".lock", { try RunLock(path: $0, warn: { _ in }) }), (".lock.owner", { try lock($0) }),
  ] as [(String, (String) throws -> RunLock)] {
    let held = try make("\(folder.path)/.lock")
    #expect(failure { try held.check() } == nil)
    unlink("\(folder.path)/\(name)")
    let other = isReplaced ? try make("\(folder.path)/.lock") : nil
    // In the same process only its beginning tells two owners apart.
    if isReplaced, name.hasSuffix("owner") {
      try owner().text.write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
    }
    let seen = failure { try held.check() }
    #expect(seen?.code == .cannotWrite && seen?.message.contains("\(name): has vanished or was replaced") == true)
    withExtendedLifetime(other) {}
  }
}

@Test func anOwnerFileThatNamesNobodyIsNotTakenOver() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/.lock"
  try "".write(toFile: "\(path).owner", atomically: true, encoding: .utf8)
  #expect(failure { _ = try lock(path) }?.message.contains("remove this file") == true)
}

@Test func onlyATakenLockIsCalledTaken() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/.lock"
  let broken = failure { _ = try RunLock(path: path, attempt: { _ in .failed(EIO) }, warn: { _ in }) }
  #expect(broken?.code == .cannotWrite && broken?.message.contains("Input/output error") == true, "\(broken as Any)")
  let first = try RunLock(path: path, warn: { _ in })
  let second = failure { _ = try RunLock(path: path, patience: 0.2, warn: { _ in }) }
  #expect(second?.message.contains("another run is using this folder: pid \(getpid()) on ") == true, "\(second as Any)")
  withExtendedLifetime(first) {}
}

@Test func aLockThatIsALinkIsRefusedAndWhatItLeadsToStaysAsItIs() throws {
  let folder = try TemporaryFolder()
  let (path, other) = ("\(folder.path)/.lock", "\(folder.path)/mine")
  for isThere in [true, false] {
    if isThere { try "mine".write(toFile: other, atomically: true, encoding: .utf8) } else { unlink(other) }
    unlink(path)
    try #require(symlink(other, path) == 0)
    let refused = failure { _ = try RunLock(path: path, warn: { _ in }) }
    #expect(refused?.code == .cannotWrite, "\(refused as Any)")
    #expect(refused?.message.hasPrefix("\(path): is a symbolic link to \(other)") == true, "\(refused as Any)")
    #expect((try? String(contentsOfFile: other, encoding: .utf8)) == (isThere ? "mine" : nil))
  }
}

@Test func anHDF5FileThatIsLockedIsToldAsLockedWithWhatToSet() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/x.h5"
  let file = try HDF5File.create(path)
  try file.makeDataset("x", .float32, shape: [1])
  try file.close()
  let descriptor = open(path, O_RDWR)
  defer { close(descriptor) }
  #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
  let locked = failure { _ = try HDF5File.open(path) }
  #expect(locked?.code == .unavailable, "\(locked as Any)")
  #expect(locked?.message.contains("is locked") == true)
  #expect(locked?.message.contains("HDF5_USE_FILE_LOCKING=FALSE") == true)
  flock(descriptor, LOCK_UN)
  #expect(try HDF5File.open(path).names(in: "/") == ["x"])
}
