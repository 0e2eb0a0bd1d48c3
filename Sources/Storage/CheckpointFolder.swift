import Failures
import Files
import Foundation

/// `run/checkpoints/`: `step-%09d.h5`, and the links `last.h5` and `best.h5`.
public struct CheckpointFolder: Sendable {
  public let path: String
  /// How many recent checkpoints stay; the best one is never counted.
  public let keep: Int

  public init(path: String, keep: Int) {
    self.path = path
    self.keep = keep
  }

  public func file(step: Int) -> String { "\(path)/\(String(format: "step-%09d.h5", step))" }
  public var last: String { "\(path)/last.h5" }
  public var best: String { "\(path)/best.h5" }

  /// The steps of which there are files, newest first; a file of any other name is not the run's.
  ///
  /// - Throws: `Failure` 66 or 69 where the folder cannot be listed: to begin anew then would lose what is there.
  public func steps() throws -> [Int] {
    try names(inFolder: path).compactMap { name in
      guard name.hasPrefix("step-"), name.hasSuffix(".h5"), let step = Int(name.dropFirst(5).dropLast(3)), step >= 0,
        file(step: step) == "\(path)/\(name)"
      else { return nil }
      return step
    }.sorted(by: >)
  }

  /// Writes a checkpoint, makes it `last.h5` (and `best.h5`), and only then removes older ones.
  ///
  /// - Parameter bestStep: of the best checkpoint so far, which stays.
  /// - Returns: why an older one could not be removed; nil where all could.
  /// - Throws: `Failure` 73.
  @discardableResult
  public func write(_ contents: CheckpointContents, step: Int, isBest: Bool, bestStep: Int?) throws -> String? {
    try makeFolder(path)
    try contents.write(to: file(step: step))
    try link(file(step: step), as: last)
    if isBest { try link(file(step: step), as: best) }
    // A resume has passed over the files of later steps, as over damaged ones: they must not push sound ones out.
    do {
      let others = try steps().filter { $0 != bestStep && $0 <= step }
      var reasons: [String] = []
      for old in others.dropFirst(keep) where unlink(file(step: old)) != 0 && errno != ENOENT {
        reasons.append("\(file(step: old)): cannot be removed: \(systemReason())")
      }
      return reasons.first
    } catch {
      return "\(error)"
    }
  }

  /// A hard link that replaces the name in one step; a copy where links fail.
  private func link(_ file: String, as name: String) throws {
    try makeAtomically(name) { temporary in
      unlink(temporary)
      guard Foundation.link(file, temporary) != 0 else { return }
      do {
        try copy(file, to: temporary, for: name)
      } catch let failure as Failure where failure.code == .missingInput {
        throw Failure.cannotWrite(
          "\(failure.message), though it was written a moment ago: its folder was removed or replaced, or another run has it"
        )
      }
    }
  }

  private func copy(_ file: String, to temporary: String, for name: String) throws {
    let descriptor = try openForWriting(temporary, O_WRONLY | O_CREAT | O_TRUNC, for: name)
    defer { close(descriptor) }
    try readPieces(of: file) { try writeFully($0, to: descriptor, path: name) }
  }

  /// Removes what a killed process has left half-written.
  public func sweep() { removeTemporaries(in: path) }

  /// The newest sound checkpoint, with its step; damaged ones are told of and passed over.
  ///
  /// - Parameter accept: takes a checkpoint that can be read; a `Failure` 65 of its own is damage like any other.
  /// - Throws: `Failure` 66 or 69 for one that cannot be read, as it is locked or a limit is met: it may be sound, and to pass
  ///   over it would lose work; 78 for one of other settings, for the same reason.
  public func newest(
    onDamage: (String) -> Void, accept: (_ path: String, Checkpoint) throws -> Void = { _, _ in }
  ) throws -> (step: Int, checkpoint: Checkpoint)? {
    for step in try steps() {
      do {
        let checkpoint = try Checkpoint.read(file(step: step))
        try accept(file(step: step), checkpoint)
        return (step, checkpoint)
      } catch let failure as Failure where isFault(failure, of: file(step: step)) {
        onDamage(failure.message)
      }
    }
    return nil
  }
}
