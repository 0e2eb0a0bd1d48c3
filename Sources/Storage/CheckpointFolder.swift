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

  /// The steps of which there are files, newest first.
  public func steps() -> [Int] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.compactMap { name in
      guard name.hasPrefix("step-"), name.hasSuffix(".h5") else { return nil }
      return Int(name.dropFirst(5).dropLast(3))
    }.sorted(by: >)
  }

  /// Writes a checkpoint, makes it `last.h5` (and `best.h5`), and only then removes older ones.
  ///
  /// - Parameter bestStep: of the best checkpoint so far, which stays.
  public func write(_ checkpoint: Checkpoint, step: Int, isBest: Bool, bestStep: Int?) throws {
    try makeFolder(path)
    try checkpoint.write(to: file(step: step))
    try link(file(step: step), as: last)
    if isBest { try link(file(step: step), as: best) }
    // A resume has passed over the files of later steps, as over damaged ones: they must not push sound ones out.
    let others = steps().filter { $0 != bestStep && $0 <= step }
    for old in others.dropFirst(keep) { unlink(file(step: old)) }
  }

  /// A hard link that replaces the name in one step; a copy where links fail.
  private func link(_ file: String, as name: String) throws {
    let temporary = temporaryName(for: name)
    unlink(temporary)
    if Foundation.link(file, temporary) != 0 {
      do {
        try FileManager.default.copyItem(atPath: file, toPath: temporary)
      } catch {
        throw Failure.cannotWrite("\(name): cannot be written: \(error.localizedDescription)")
      }
    }
    try publish(temporary, as: name)
  }

  /// Removes what a killed process has left half-written.
  public func sweep() { removeTemporaries(in: path) }

  /// The newest sound checkpoint, with its step; damaged ones are told of and passed over.
  public func newest(onDamage: (String) -> Void) -> (step: Int, checkpoint: Checkpoint)? {
    for step in steps() {
      do {
        return (step, try Checkpoint.read(file(step: step)))
      } catch {
        onDamage("\(error)")
      }
    }
    return nil
  }
}

/// Removes files of a folder that were being written when their process died.
func removeTemporaries(in folder: String) {
  for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where name.contains(".tmp-") {
    unlink("\(folder)/\(name)")
  }
}
