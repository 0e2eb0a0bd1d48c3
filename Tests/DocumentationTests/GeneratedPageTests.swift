import Explaining
import Foundation
import Metrics
import Settings
import TestSupport
import Testing

/// The files of `docs/` that are made from tables of the program.
private let generated = [
  ("docs/settings.md", SettingTable.referencePage), ("docs/figures.md", FigureTable.referencePage),
  ("docs/methods.md", MethodTable.referencePage), ("docs/settings.schema.json", SettingTable.schema),
]

@Test(arguments: generated) func aGeneratedPageIsWhatItsTableSays(path: String, text: String) throws {
  let isEqual = (try? String(contentsOfFile: "\(repositoryRoot)/\(path)", encoding: .utf8)) == text
  guard !isEqual else { return }
  let wanted = NSTemporaryDirectory() + (path as NSString).lastPathComponent
  try text.write(toFile: wanted, atomically: true, encoding: .utf8)
  Issue.record("\(path) is not what its table says: cp \(wanted) docs/")
}
