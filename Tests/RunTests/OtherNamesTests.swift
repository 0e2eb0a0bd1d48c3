import Foundation
import TestSupport
import Testing

/// A name that is no UTF-8 is told of; nothing is read or written under another one in its place.

@Test func anArgumentOrAVariableThatIsNoUTF8IsToldAndNothingIsWritten() throws {
  let bench = try TrainingBench(lanes: 4)
  let root = bench.folder.path
  func shell(_ line: String) throws -> ProcessResult {
    let odd = "odd=$(printf 'caf\\351')"
    return try run(
      "/bin/sh", ["-c", "cd '\(root)'; \(odd); \(line)"], environment: ["ala": bench.program], seconds: 60)
  }
  let before = try FileManager.default.contentsOfDirectory(atPath: root).sorted()
  for (code, line) in [
    (64, "$ala train --config c.yaml --set run.dir=$odd"), (64, "$ala train --config=$odd/c.yaml"),
    (64, "$ala synth --out $odd"), (64, "$ala explain $odd.jpg --checkpoint run --out out"), (64, "$ala $odd"),
    (
      64,
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun -np 2 --oversubscribe --bind-to none $ala train --config c.yaml --set run.dir=$odd"
    ),
    (78, "ALA_RUN__DIR=$odd $ala train --config c.yaml"), (69, "TMPDIR=/$odd $ala bench encode"),
    (69, "HOME=/$odd $ala train --config c.yaml --set 'run.dir=~/run'"),
  ] {
    let result = try shell(line)
    let lines = result.errors.split(separator: "\n").filter { $0.contains("is not UTF-8") }
    #expect(result.code == code && lines.count == 1, "\(line): \(result.code) \(result.errors)")
    #expect(lines.first?.contains("caf\\xe9") == true, "\(line): \(lines)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: root).sorted() == before, "\(line)")
  }
  let inside = try shell(
    "mkdir $odd; cd $odd; $ala train --config ../c.yaml --set run.dir=run; code=$?; ls -a; exit $code")
  #expect(inside.code == 69 && inside.errors.contains("the path of the working folder, "), "\(inside.errors)")
  #expect(inside.output == ".\n..\n", "\(inside.output)")
  #expect(try shell("cd $odd; $ala train --help; code=$?; cd ..; rmdir $odd; exit $code").code == 0)
}
