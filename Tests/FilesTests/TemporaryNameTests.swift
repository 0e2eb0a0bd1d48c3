import Failures
import Files
import Foundation
import TestSupport
import Testing

/// Files that are made aside, and what a system's call that has failed says.

@Test func temporaryNamesOfOneProcessNumberDifferAndAreSwept() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/a.h5"
  var names: [String] = []
  try makeAtomically(path) { outer in
    try makeAtomically(path) { inner in
      names = [outer, inner]
      for name in names { try Data().write(to: URL(fileURLWithPath: name)) }
    }
  }
  #expect(Set(names).count == 2 && names.allSatisfy { $0.hasPrefix("\(path).tmp-\(getpid())-") })
  for name in names { try Data().write(to: URL(fileURLWithPath: name)) }
  removeTemporaries(in: folder.path)
  #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a.h5"])
}

@Test func halfMadeFoldersOfProcessesThatAreGoneAreRemovedAndThoseOfOtherPlacesStay() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/data"
  var own = ""
  try replaceFolder(path) { own = ($0 as NSString).lastPathComponent }
  let parts = own.split(separator: "-").map(String.init)
  try #require(parts.count == 4 && parts[1] == "\(getpid())", "\(own)")
  // No process has the largest number that the kernel's type holds.
  let gone = "\(parts[0])-\(Int32.max)-\(parts[2])-0a1b2c3d"
  let elsewhere = "\(parts[0])-\(Int32.max)-\(parts[2] == "00000000" ? "00000001" : "00000000")-0a1b2c3d"
  let living = "\(parts[0])-\(getppid())-\(parts[2])-0a1b2c3d"
  let ofNobody = "\(parts[0])-\(Int32.max)-notes"
  for name in [gone, elsewhere, living, ofNobody] { try makeFolder("\(folder.path)/\(name)") }
  try replaceFolder(path) { _ in }
  #expect(try Set(names(inFolder: folder.path)) == ["data", elsewhere, living, ofNobody])
}

@Test func aFolderThatVanishesAsAFileIsMadeIsNoMissingInput() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/checkpoints/a.h5"
  try makeFolder("\(folder.path)/checkpoints")
  let failure = #expect(throws: Failure.self) {
    try makeAtomically(path) { temporary in
      try Data().write(to: URL(fileURLWithPath: temporary))
      try FileManager.default.removeItem(atPath: "\(folder.path)/checkpoints")
      try Data().write(to: URL(fileURLWithPath: "\(folder.path)/checkpoints"))
      _ = try readBeginning(of: temporary, count: 1)
    }
  }
  #expect(failure?.code == .cannotWrite && failure?.message.hasPrefix("\(path): ") == true, "\(failure as Any)")
}

@Test(arguments: [EMFILE, ENFILE, ENOMEM]) func whatTheMachineLacksIsUnavailableWhateverWasToBeDone(number: Int32) {
  for code in [ExitCode.missingInput, .cannotWrite] {
    #expect(Failure.ofCall(code, "x", number).code == .unavailable && Failure.ofCall(code, "x", EACCES).code == code)
  }
}

@Test func aFolderThatCannotBeListedIsNotTakenForAnEmptyOne() throws {
  let folder = try TemporaryFolder()
  try Data().write(to: URL(fileURLWithPath: "\(folder.path)/a"))
  #expect(try names(inFolder: folder.path) == ["a"])
  #expect(try names(inFolder: "\(folder.path)/absent") == [] && names(inFolder: "\(folder.path)/a/b") == [])
  let loop = "\(folder.path)/loop"
  #expect(symlink(loop, loop) == 0)
  #expect(#expect(throws: Failure.self) { try names(inFolder: loop) }?.code == .missingInput)
}
