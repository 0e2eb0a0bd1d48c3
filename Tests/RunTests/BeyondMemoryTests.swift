import Foundation
import TestSupport
import Testing

/// Settings that no machine has the memory for are refused by their key before anything is taken.

@Test(arguments: [
  ("side.width", ["side.width=65536", "side.heads=1"]),
  ("perception.channels", ["perception.channels=[65536, 65536, 65536]"]),
  ("training.batch", ["training.batch=65536", "image.size=4096"]),
  ("image.size", ["image.size=4096"]),
])
func aSettingBeyondTheMachinesMemoryIsRefusedByItsKey(key: String, sets: [String]) throws {
  let bench = try TrainingBench(lanes: 4)
  let arguments = sets.flatMap { ["--set", $0] }
  let result = try run(
    bench.program, ["train", "--config", "\(bench.folder.path)/c.yaml", "--threads", "2"] + arguments, seconds: 60)
  #expect(
    result.code == 78 && result.errors.contains("\(key) is ") && result.errors.contains(" bytes ("),
    "\(result.code) \(result.errors)")
  guard key != "image.size" else { return }
  let dry = try run(
    bench.program, ["train", "--config", "\(bench.folder.path)/c.yaml", "--dry-run"] + arguments, seconds: 60)
  #expect(
    dry.code == 0 && dry.errors.contains("ala: warning: \(key) is ") && dry.output.contains("training:"),
    "\(dry.code) \(dry.errors)")
}
