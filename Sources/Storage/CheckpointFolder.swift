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
  public func steps() -> [Int] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.compactMap { name in
      guard name.hasPrefix("step-"), name.hasSuffix(".h5"), let step = Int(name.dropFirst(5).dropLast(3)), step >= 0,
        file(step: step) == "\(path)/\(name)"
      else { return nil }
      return step
    }.sorted(by: >)
  }

  /// Writes a checkpoint, makes it `last.h5` (and `best.h5`), and only then removes older ones.
  ///
  /// - Parameter bestStep: of the best checkpoint so far, which stays.
  public func write(_ contents: CheckpointContents, step: Int, isBest: Bool, bestStep: Int?) throws {
    try makeFolder(path)
    try contents.write(to: file(step: step))
    try link(file(step: step), as: last)
    if isBest { try link(file(step: step), as: best) }
    // A resume has passed over the files of later steps, as over damaged ones: they must not push sound ones out.
    let others = steps().filter { $0 != bestStep && $0 <= step }
    for old in others.dropFirst(keep) { unlink(file(step: old)) }
  }

  /// A hard link that replaces the name in one step; a copy where links fail.
  private func link(_ file: String, as name: String) throws {
    try makeAtomically(name) { temporary in
      unlink(temporary)
      if Foundation.link(file, temporary) != 0 { try copy(file, to: temporary, for: name) }
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
  /// - Throws: `Failure` 69 for one that somebody has locked: it is not damaged, and to pass over it would lose work; 78
  ///   for one of other settings, for the same reason.
  public func newest(
    onDamage: (String) -> Void, accept: (_ path: String, Checkpoint) throws -> Void = { _, _ in }
  ) throws -> (step: Int, checkpoint: Checkpoint)? {
    for step in steps() {
      do {
        let checkpoint = try Checkpoint.read(file(step: step))
        try accept(file(step: step), checkpoint)
        return (step, checkpoint)
      } catch let failure as Failure where [.unavailable, .badConfiguration].contains(failure.code) {
        throw failure
      } catch {
        onDamage("\(error)")
      }
    }
    return nil
  }
}
