import Foundation

/// Who uses a run's folder now, asked from outside, and who did when it was killed.
public enum RunHolder {
  /// "pid 71 on node1 for 3 min (ala train --config c.yaml)"; nil where nobody does, as far as can be known: of a process on
  /// another host whose file system has no locks, only that it has not taken its owner file away.
  ///
  /// - Parameter folder: whose file `.lock` a run holds.
  public static func description(of folder: String) -> String? {
    let path = "\(folder)/.lock"
    if let owner = RunOwner(path: "\(path).owner") { return owner.isGone ? nil : owner.description }
    // Without a name in it nobody holds it: asking for the lock might keep a run from it that is about to begin.
    guard let owner = RunOwner(path: path) else { return nil }
    return FileLock.outcomeForReader(of: path) == .taken ? owner.description : nil
  }

  /// A process that had the folder and has ended without giving it back, as only one does that is killed.
  public struct Killed: Sendable {
    /// "pid 71 on node1".
    public let process: String
  }

  /// Nil where the folder is in use, or was given back.
  ///
  /// - Parameter folder: whose file `.lock` a run holds.
  public static func killed(in folder: String) -> Killed? {
    guard description(of: folder) == nil,
      let owner = RunOwner(path: "\(folder)/.lock.owner") ?? RunOwner(path: "\(folder)/.lock")
    else { return nil }
    return Killed(process: "pid \(owner.pid) on \(owner.host)")
  }
}
