import Foundation
import TestSupport
import Testing

/// `ala bench --against` with a stand-in for Python.

/// A program that claims to have the libraries named, and does a work as the shell's words say.
private func python(_ folder: TemporaryFolder, has libraries: String, _ work: String) throws -> String {
  let path = "\(folder.path)/python3"
  let script = """
    #!/bin/sh
    # python3 -c SOURCE [WORK --library NAME …]
    [ $# -gt 2 ] || { echo '\(libraries)'; exit; }
    echo "$@" | tr '\\n' ' ' | sed 's/.*main() //' >> '\(folder.path)/calls.txt'; echo >> '\(folder.path)/calls.txt'
    \(work)
    """
  try script.write(toFile: path, atomically: true, encoding: .utf8)
  chmod(path, 0o755)
  return path
}

private let quick = ["--batch", "1", "--threads", "1", "--steps", "1", "--repeats", "1"]
private let answer =
  #"echo "a word of its own"; echo '{"samples_per_s": 0.5, "peak_rss_mib": 1000, "library": "Peer 1.2"}'"#

@Test func aPeerIsTimedInTurnsAndEveryRoundsRatioIsTold() throws {
  let folder = try TemporaryFolder()
  let peer = try python(folder, has: "torch", answer)
  let result = try run(
    builtProgram("ala"), ["bench", "encode", "--against", peer, "--rounds", "2", "--json"] + quick)
  #expect(result.code == 0, "\(result.errors)")
  let table = try #require(try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
  let row = try #require((table["rows"] as? [[String: Any]])?.first)
  let own = try #require((row["ala"] as? [String: Any])?["samples_per_s"] as? Double)
  let ratios = try #require((row["peers"] as? [[String: Any]])?.first?["ratios"] as? [Double])
  #expect(ratios.count == 2)
  // The median of two is their mean.
  #expect(abs((ratios[0] + ratios[1]) / 2 - own / 0.5) < 1e-9)
  let calls = try String(contentsOfFile: "\(folder.path)/calls.txt", encoding: .utf8).split(separator: "\n")
  #expect(
    calls.count == 2 && calls.allSatisfy { $0.contains("encode --library torch --threads 1 --batch 1") }, "\(calls)")
  #expect(result.errors.contains("encode, round 2 of 2: ala"))
}

@Test(arguments: [SIGTERM, SIGINT]) func aSignalEndsWhatAWrapperOfPythonHasStarted(number: Int32) throws {
  let folder = try TemporaryFolder()
  let nap = "sleep \(UInt32.random(in: 100_000 ... .max))"
  // It starts its Python as a shell does, and doesn't become it.
  let peer = try python(folder, has: "torch", "\(nap); echo")
  let result = try run(
    builtProgram("ala"), ["bench", "encode", "--against", peer, "--rounds", "1"] + quick, seconds: 60
  ) {
    process in
    for _ in 0..<200 {
      if (try? run("/usr/bin/pgrep", ["-f", "^\(nap)$"]))?.code == 0 { break }
      usleep(100_000)
    }
    kill(process, number)
  }
  #expect(result.code == 75, "\(result.errors)")
  #expect(try run("/usr/bin/pgrep", ["-f", "^\(nap)$"]).code == 1)
}

@Test func aPeerThatWritesWithoutEndIsEndedAndNamed() throws {
  let folder = try TemporaryFolder()
  let peer = try python(folder, has: "torch", "yes | cat")
  let result = try run(
    builtProgram("ala"), ["bench", "encode", "--against", peer, "--rounds", "1"] + quick, seconds: 60)
  #expect(
    result.code == 69 && result.errors.contains("\(peer): the peer's encode by torch: was ended"), "\(result.errors)")
}

@Test func whatABenchmarkOfFilesHasMadeIsGoneWithItsFolders() throws {
  let folder = try TemporaryFolder()
  for (work, ranks) in [("cache-read", 1), ("cache-read", 2), ("checkpoint", 1)] {
    let result = try mpirun(
      ranks: ranks, builtProgram("ala"),
      ["bench", work, "--repeats", "1", "--threads", "1", "--folder", "\(folder.path)/new/deeper"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [], "\(work)")
  }
  let result = try run(
    builtProgram("ala"), ["bench", "cache-read", "--repeats", "100000", "--folder", "\(folder.path)/new"], seconds: 60
  ) { process in
    for _ in 0..<600 where !FileManager.default.fileExists(atPath: "\(folder.path)/new") { usleep(20_000) }
    kill(process, SIGTERM)
  }
  #expect(result.code == 75, "\(result.code) \(result.errors)")
  #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
}

@Test func aPeerThatIsMissingOrFailsIsToldInItsWords() throws {
  let folder = try TemporaryFolder()
  func compare(_ peer: String, _ works: [String] = ["encode"]) throws -> ProcessResult {
    try run(builtProgram("ala"), ["bench"] + works + ["--against", peer, "--rounds", "1"] + quick)
  }
  let bare = try compare(try python(folder, has: "openvino", "exit 0"))
  #expect(bare.code == 69 && bare.errors.contains("has no torch"), "\(bare.errors)")
  let failing = try compare(try python(folder, has: "torch", "echo first >&2; echo 'ValueError: no' >&2; exit 1"))
  #expect(failing.code == 69 && failing.errors.contains("encode by torch: ValueError: no"), "\(failing.errors)")
  let silent = try compare(try python(folder, has: "torch", "echo nothing"))
  #expect(silent.code == 69 && silent.errors.contains("expected one JSON object"), "\(silent.errors)")
  #expect(try compare("\(folder.path)/none").code == 69)
  #expect(try compare("python3", ["rise"]).code == 64)
  #expect(try run(builtProgram("ala"), ["bench", "encode", "perturb"]).code == 64)
  #expect(try run(builtProgram("ala"), ["bench"]).code == 64)
}
