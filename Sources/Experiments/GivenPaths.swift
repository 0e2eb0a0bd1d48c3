import Failures
import Foundation
import Settings

/// Refuses a path of the settings at which nothing is, and says which setting has named it, if one has.
///
/// - Parameter words: what is wrong with it.
/// - Throws: `Failure` 66.
public func requireThere(_ path: String, _ key: String, _ words: String) throws {
  guard !FileManager.default.fileExists(atPath: path) else { return }
  let isDefault = SettingTable.key(key)?.standard.yaml == path
  throw Failure.missingInput(
    isDefault
      ? "\(path): \(words), which is the default of \(key): say by --config FILE or --set \(key)=… what is meant"
      : "\(path): \(words) (\(key)); --set \(key)=… says where it lies now")
}

/// The checkpoint that `--checkpoint` names.
///
/// - Throws: `Failure` 66 for a folder that is no run's, naming one in it that is.
public func givenCheckpoint(_ given: String) throws -> String {
  let path = checkpointPath(given)
  guard path != given, !FileManager.default.fileExists(atPath: path) else { return path }
  let names = ((try? FileManager.default.contentsOfDirectory(atPath: given)) ?? []).sorted()
  let run = names.map { given.hasSuffix("/") ? given + $0 : "\(given)/\($0)" }.first {
    let inner = checkpointPath($0)
    return inner != $0 && FileManager.default.fileExists(atPath: inner)
  }
  throw Failure.missingInput(
    "\(given): is no folder of a run with a checkpoint" + (run.map { "; \($0) is one" } ?? ""))
}
