import Foundation
import TestSupport
import Testing

/// Memory that cannot be had: a sentence and code 69, never a hang, a trap or a trace.

private func limited(_ kibibytes: Int, _ command: String, in folder: String) throws -> ProcessResult {
  try run(
    "/bin/bash", ["-c", "ulimit -v \(kibibytes); exec \"$ala\" \(command)"], in: folder,
    environment: ["ala": builtProgram("ala")], seconds: 20)
}

@Test func aLimitOnTheAddressSpaceIsNamedWhereItIsTooLow() throws {
  let bench = try TrainingBench()
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)
  let commands = [
    "train --config c.yaml --threads 2 --stop-after-steps 1 --set run.dir=", "doctor --threads 2 --dir . #",
    "evaluate --config c.yaml --threads 2 --limit 3 --set evaluation.steps=0 --checkpoint run/checkpoints/last.h5 --out e",
    "bench encode --threads 2 --steps 1 --repeats 1 --batch 2 #",
  ]
  var codes: Set<Int32> = []
  // From where the libraries can just be loaded to where everything fits.
  for kibibytes in [230_000, 300_000, 455_000, 475_000, 1_500_000] {
    for command in commands {
      let result = try limited(kibibytes, "\(command)\(kibibytes)", in: bench.folder.path)
      codes.insert(result.code)
      #expect(result.code == 0 || result.code == 69, "\(kibibytes) \(command): \(result.code) \(result.errors)")
      guard result.code == 69 else { continue }
      #expect(
        result.errors.contains("limit") || result.errors.contains("Cannot allocate memory"),
        "\(kibibytes) \(command): \(result.errors)")
      // Where the program itself has all it needs.
      guard kibibytes == 300_000 else { continue }
      #expect(result.errors.contains("OpenBLAS cannot get its working memory, 256 MiB"), "\(command): \(result.errors)")
    }
  }
  #expect(codes == [0, 69])
}

@Test func weightsAreTheSameUnderALimit() throws {
  let bench = try TrainingBench()
  #expect(try bench.ala("train", run: "free").code == 0)
  let result = try limited(900_000, "train --config c.yaml --threads 2 --set run.dir=bound", in: bench.folder.path)
  #expect(result.code == 0, "\(result.errors)")
  #expect(try bench.digest("bound") == bench.digest("free"))
}
