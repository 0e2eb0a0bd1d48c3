import Cluster
import Diagnosis
import Foundation
import Machine
import Tensor
import TestSupport
import Testing

/// `ala doctor`: what it promises to notice, from the parts up to the built program.

@Test(arguments: ProductLibrary.linked) func soundProductsPassTheSelfTest(library: ProductLibrary) {
  let result = testProducts(modelProduct(by: library), threads: 4, seconds: 0.1)
  #expect(result.wrongAlone.isEmpty && result.wrongTogether.isEmpty && result.products >= 3 * 4 * 24)
  #expect(checkProducts(result).verdict == .ok)
}

@Test func aProductThatIsWrongOffTheFirstThreadIsFoundAndItsShapeNamed() {
  let first = pthread_self()
  let result = testProducts(
    { form, result, a, b, m, n, k in
      modelProduct(by: .openblas)(form, result, a, b, m, n, k)
      // One unit in the last place of one element, as shared working memory may leave.
      if pthread_equal(first, pthread_self()) == 0, form == .weightGradient, m == 49 { result[5] = result[5].nextUp }
    }, threads: 4, seconds: 0.1)
  let finding = checkProducts(result)
  #expect(result.wrongAlone.isEmpty && finding.verdict == .problem, "\(finding)")
  #expect(finding.text.contains("weightGradient 49x96x27") && finding.advice?.contains("--threads 1") == true)
}

@Test(arguments: ProductForm.allCases) func aProductThatIsAlwaysWrongIsFoundByTheReference(form: ProductForm) {
  for fault in [Float.nan, .infinity, 1e-3] {
    let result = testProducts(
      { which, result, a, b, m, n, k in
        modelProduct(by: .openblas)(which, result, a, b, m, n, k)
        if which == form, n == 33 { result[7] += fault }
      }, threads: 2, seconds: 0)
    #expect(result.wrongAlone == ["\(form.rawValue) 17x33x65"])
    #expect(checkProducts(result).verdict == .problem)
  }
}

@Test func aRowWhoseBitsDependOnItsNeighboursIsNoted() {
  #expect(checkRows(0).verdict == .ok)
  let share = rowDependence(
    { form, result, a, b, m, n, k in
      modelProduct(by: .openblas)(form, result, a, b, 1, n, k)
      for i in 1..<m { memcpy(result + i * n, result, n * 4) }
      if m > 20 { for i in 0..<(m * n / 2) { result[i * 2] = result[i * 2].nextUp } }
    }, rows: 20, width: 16)
  #expect(share == 0.5 && checkRows(share).verdict == .note && checkRows(share).text.contains("50.0%"))
}

@Test func aLibraryThatIsNotTheFastestIsNoted() {
  func finding(_ openblas: Double, _ onednn: Double) -> Finding {
    checkLibrary(.openblas, isAutomatic: true, LibraryRates(rates: [.openblas: openblas, .onednn: onednn]))
  }
  #expect(finding(100, 90).verdict == .ok && finding(100, 104).verdict == .ok)
  guard ProductLibrary.linked.count > 1 else { return #expect(finding(100, 0).text.contains("--traits BFloat16")) }
  let slower = finding(100, 120)
  #expect(slower.verdict == .note && slower.text.contains("oneDNN") && slower.text.contains("120 GFLOP/s"))
  #expect(slower.advice == "run.products: onednn is the faster on this processor")
}

@Test func theLibrariesAreMeasured() {
  let measured = LibraryRates.measure(seconds: 0.2)
  let rates = measured.rates
  #expect(Set(rates.keys) == Set(ProductLibrary.linked) && rates.values.allSatisfy { $0 > 0 && $0.isFinite })
  #expect((measured.bfloat16 != nil) == ((try? BFloat16Support.current()) != nil))
}

@Test func bfloat16ThatIsNotTheFasterIsNoted() {
  func finding(_ bfloat16: Double?) -> Finding? {
    checkBFloat16(.openblas, LibraryRates(rates: [.openblas: 100], bfloat16: bfloat16))
  }
  #expect(finding(nil) == nil)
  #expect(finding(180)?.verdict == .ok)
  #expect(finding(90)?.verdict == .note && finding(90)?.text.contains("90 GFLOP/s") == true)
  #expect(finding(90)?.advice == "keep encoder.precision: float32, which is as fast here or faster")
}

@Test func aRunInBFloat16IsToldWhereThatIsSlower() {
  func reason(_ instructions: BFloat16Support.Instructions, _ vendor: String) -> String? {
    BFloat16Support(description: "", instructions: instructions).reasonToBeSlower(vendor: vendor)
  }
  #expect(reason(.avx512, "GenuineIntel")?.contains("AMX") == true && reason(.amx, "GenuineIntel") == nil)
  #expect(reason(.avx512, "AuthenticAMD") == nil && reason(.emulated, "AuthenticAMD") != nil)
}

private let modern = Processor(
  cpuinfo: "model name\t: A: B\nflags\t\t: avx avx2 fma f16c bmi2 avx512f avx512dq avx512bw avx512vl avx512cd\n")
private let plain = Processor(cpuinfo: "flags : avx avx2 fma f16c bmi2")
private let old = Processor(cpuinfo: "model name : Old\nflags : sse sse2 avx")

@Test func theProcessorIsReadAndItsFloorKept() {
  #expect(modern.name == "A: B" && modern.vectors == .avx512 && modern.missing.isEmpty)
  #expect(plain.vectors == .avx2 && old.vectors == .avx && old.missing == ["avx2", "fma", "f16c", "bmi2"])
  #expect(checkProcessor(modern).verdict == .ok && checkProcessor(old).verdict == .problem)
  #expect(checkProcessor(old).text.contains("avx2"))
  #expect(Processor(cpuinfo: "").missing.isEmpty && Processor.available() >= 1)
}

@Test func aForcedKernelAnIgnoredOneAndAlasOwnAreToldApart() {
  func choice(_ kernel: String, _ environment: [String: String], _ processor: Processor = modern) -> BLASChoice {
    BLASChoice(kernel: kernel, environment: environment, processor: processor)
  }
  let native = choice("SkylakeX", [:])
  #expect(!native.isForced && !native.isNarrow && native.better == nil)
  let forced = choice("Haswell", ["OPENBLAS_CORETYPE": "haswell", "OPENBLAS_L2_SIZE": "512"])
  #expect(forced.isForced && forced.isNarrow && forced.better == nil)
  for part in ["Haswell", "OPENBLAS_CORETYPE=haswell", "OPENBLAS_L2_SIZE=512", "AVX-512"] {
    #expect(forced.description.contains(part))
  }
  #expect(choice("SkylakeX", ["OPENBLAS_L2_SIZE": "512"]).isForced)
  let ignored = choice("SkylakeX", ["OPENBLAS_CORETYPE": "Foo"])
  #expect(!ignored.isForced && ignored.description.contains("OPENBLAS_CORETYPE=Foo is no kernel"))
  #expect(choice("Prescott", [:]).better == "SkylakeX" && choice("Prescott", [:], plain).better == "Haswell")
  #expect(
    choice("Prescott", ["OPENBLAS_CORETYPE": "Prescott"]).better == nil && choice("Prescott", [:], old).better == nil)
  let own = choice("SkylakeX", ["OPENBLAS_CORETYPE": "SkylakeX", BLASChoice.ownChoice: "1"])
  #expect(!own.isForced && own.better == nil && own.description.contains("named by ala"))
  #expect(choice("SkylakeX", ["OPENBLAS_CORETYPE": "SkylakeX"], plain).isTooNew && !forced.isTooNew)

  let slow = checkBLAS(forced, rate: { 100 }, unforced: { UnforcedRate(kernel: "Cooperlake", rate: 190) })
  #expect(slow.verdict == .note && slow.text.contains("Cooperlake reaches 190, 1.90 times"))
  #expect(slow.advice == "unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE")
  #expect(checkBLAS(native, rate: { 100 }, unforced: { nil }).verdict == .ok)
  #expect(checkBLAS(ignored, rate: { 100 }, unforced: { nil }).verdict == .note)
  let impossible = choice("SkylakeX", ["OPENBLAS_CORETYPE": "SkylakeX"], plain)
  #expect(
    checkBLAS(
      impossible,
      rate: {
        Issue.record("a product would end the process"); return 0
      }, unforced: { nil }
    ).verdict == .problem)
}

@Test func threadsAreHeldAgainstTheProcessorsOfTheHost() {
  func check(_ threads: [Int], _ processors: Int, online: Int? = nil, quota: Double? = nil, launched: Bool = true)
    -> Finding
  {
    checkThreads(
      threads: threads, processors: processors, online: online ?? processors, quota: quota, isLaunched: launched)
  }
  #expect(check([2], 2, launched: false).verdict == .ok && check([1, 1], 2).verdict == .ok)
  #expect(check([1, 1, 1], 2).text.contains("take turns"))
  #expect(check([1], 2).text.contains("1 idle"))
  #expect(check([1, 1], 2, online: 8).advice?.contains("--bind-to none") == true)
  #expect(check([2], 2, online: 8, launched: false).verdict == .ok)
  #expect(check([4], 4, quota: 1.5).text.contains("1.5"))
  #expect(check([4], 4, quota: 4).verdict == .ok)
}

@Test func addressesThatHostsHaveInCommonAreNotedWithTheNetworksThatTellThemApart() {
  func host(_ name: String, _ addresses: [String], leavesOut: Bool = false, isChosen: Bool = false) -> HostNetworks {
    let bridge = NetworkInterface(name: "docker0", address: "172.17.0.1", prefixLength: 16)
    let own = (["127.0.0.1"] + addresses).map { NetworkInterface(name: "eth0", address: $0, prefixLength: 20) }
    return HostNetworks(
      host: name, interfaces: own + [bridge], leftOut: leavesOut ? [bridge] : [], isChosen: isChosen)
  }
  #expect(compareNetworks([host("a", ["10.1.0.1"]), host("a", ["10.1.0.1"])]) == nil)
  #expect(compareNetworks([host("a", ["10.1.0.1"]), host("container", ["10.1.0.1"])]) == nil)
  let found = compareNetworks([host("a", ["10.1.16.1"]), host("b", ["10.1.31.2"]), host("b", ["10.1.31.2"])])
  #expect(found?.verdict == .note && found?.text.contains("172.17.0.1 (docker0) on a, b") == true, "\(found as Any)")
  #expect(
    found?.advice?.contains("--mca btl_tcp_if_include 10.1.16.0/20 --mca oob_tcp_if_include 10.1.16.0/20") == true)
  let apart = compareNetworks([host("a", ["10.1.0.1"]), host("b", ["10.2.0.1"], leavesOut: true)])
  #expect(apart?.advice?.contains("btl_tcp_if_include 10.1.0.0/20,10.2.0.0/20") == true)
  #expect(apart?.text.contains("left out in this call") == true)
  let chosen = compareNetworks([host("a", ["10.1.0.1"], isChosen: true), host("b", ["10.1.0.2"], isChosen: true)])
  #expect(chosen?.verdict == .ok, "\(chosen as Any)")
}

@Test func scarceMemoryIsNoted() {
  let host = HostMemory(total: 0x1p36, available: 0x1p32, limit: nil)
  #expect(checkMemory(host, ranks: 4).verdict == .ok && checkMemory(host, ranks: 5).verdict == .note)
  #expect(checkMemory(HostMemory(total: 0x1p36, available: 0x1p35, limit: 0x1p29), ranks: 1).verdict == .note)
  #expect(checkSharedMemory(free: 0x1p26).verdict == .note && checkSharedMemory(free: 0x1p32).verdict == .ok)
  #expect(HostMemory.read().total > 0)
}

@Test func segmentsThatNoProcessHoldsAreNamed() throws {
  let folder = try TemporaryFolder()
  let (shared, processes) = ("\(folder.path)/shm", "\(folder.path)/proc")
  for path in [shared, "\(processes)/12/fd"] {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  for name in ["vader_segment.h.0.1.0", "vader_segment.h.0.1.1", "ala-9-1", "other"] {
    try Data(count: 8192).write(to: URL(fileURLWithPath: "\(shared)/\(name)"))
  }
  try "7f00-7f01 rw-s 00000000 00:1a 5  \(shared)/vader_segment.h.0.1.0\n".write(
    toFile: "\(processes)/12/maps", atomically: true, encoding: .utf8)
  let found = checkLeftovers(folder: shared, processes: processes)
  #expect(found.verdict == .note && found.text.contains("2 segments"))
  #expect(found.text.contains("\(shared)/ala-9-1 \(shared)/vader_segment.h.0.1.1"))
  #expect(!found.text.contains("vader_segment.h.0.1.0") && !found.text.contains("other"))
  for name in ["vader_segment.h.0.1.1", "ala-9-1"] { unlink("\(shared)/\(name)") }
  #expect(checkLeftovers(folder: shared, processes: processes).verdict == .ok)
}

@Test func aFolderIsTriedAndLeftAsItWas() throws {
  let folder = try TemporaryFolder()
  let findings = FolderChecks(folder.path, rank: 3).run()
  #expect(findings.map(\.check) == ["folder", "rename", "locks", "hdf5-file"])
  #expect(findings.allSatisfy { $0.verdict != .problem }, "\(findings)")
  #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  let file = "\(folder.path)/file"
  try "x".write(toFile: file, atomically: true, encoding: .utf8)
  for path in [file, "\(folder.path)/absent", "/proc"] {
    let bad = FolderChecks(path, rank: 0).run()
    #expect(bad.count == 1 && bad[0].verdict == .problem && bad[0].text.contains(path), "\(bad)")
  }
}

@Test func aRankThatDiffersIsNamedWithItsHost() {
  let fine = Finding.ok("folder", "fine")
  let bad = Finding.problem("folder", "/x: is read-only", "make it writable")
  let diagnosis = Diagnosis([("a", [fine]), ("b", [bad]), ("b", [bad])])
  #expect(!diagnosis.sound && diagnosis.hosts == ["a", "b"] && diagnosis.world == 3)
  #expect(diagnosis.problems == ["folder: /x: is read-only (ranks 1, 2 on b); make it writable"])
  #expect(Diagnosis([("a", [fine]), ("b", [.ok("folder", "other")])]).lines == ["ok       folder      fine"])
  #expect(Diagnosis([("a", [.note("folder", "n")])]).sound)
}

// MARK: The built program

private func doctor(_ ranks: Int, _ arguments: [String], kernel: String? = nil) throws -> ProcessResult {
  let unset =
    ["-u", "OPENBLAS_CORETYPE", "-u", "OPENBLAS_L2_SIZE"] + (kernel.map { ["OPENBLAS_CORETYPE=\($0)"] } ?? [])
  let command = unset + [builtProgram("ala"), "doctor"] + arguments
  return ranks == 1 ? try run("/usr/bin/env", command) : try mpirun(ranks: ranks, "/usr/bin/env", command)
}

@Test(arguments: [1, 2, 3]) func doctorSpeaksOnceAtAnyWorldSizeAndLeavesNothing(ranks: Int) throws {
  let folder = try TemporaryFolder()
  let result = try doctor(ranks, ["--dir", folder.path])
  #expect(result.code == 0, "\(result.output)\(result.errors)")
  let lines = result.output.split(separator: "\n")
  for check in [
    "mpi", "hdf5", "processor", "blas", "library", "products", "rows", "threads", "memory", "folder", "rename", "locks",
  ] {
    #expect(lines.count { $0.split(separator: " ").dropFirst().first.map(String.init) == check } == 1, "\(check)")
  }
  #expect(lines.contains { $0.contains("sharing") } == (ranks > 1) && result.output.contains("\(ranks) rank"))
  #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
}

@Test(arguments: [1, 3]) func doctorNoticesAForcedKernelAndWhatItCosts(ranks: Int) throws {
  let folder = try TemporaryFolder()
  let forced = try doctor(ranks, ["--dir", folder.path], kernel: "Sandybridge")
  let line = forced.output.split(separator: "\n").first { $0.hasPrefix("note") && $0.contains(" blas ") } ?? ""
  #expect(forced.code == 0 && line.contains("kernel Sandybridge") && line.contains("OPENBLAS_CORETYPE=Sandybridge"))
  #expect(line.contains("times as much") && line.contains("unset OPENBLAS_CORETYPE"))
  let json = try doctor(ranks, ["--dir", folder.path, "--json"])
  let object = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
  #expect(object?["sound"] as? Bool == true && object?["world"] as? Int == ranks)
  let checks = object?["checks"] as? [[String: Any]] ?? []
  #expect(checks.contains { $0["check"] as? String == "blas" && ($0["findings"] as? [Any])?.count == 1 })
}

@Test(arguments: [1, 2]) func aFolderThatCannotBeWrittenIs69AndNamed(ranks: Int) throws {
  for path in ["/proc", "/nowhere/at/all"] {
    let result = try doctor(ranks, ["--dir", path])
    #expect(result.code == 69, "\(result.code)")
    #expect(
      result.errors.components(separatedBy: "ala: error:").count == 2 && result.errors.contains(path),
      "\(result.errors)")
    #expect(result.output.contains("problem  folder"))
  }
  #expect(try doctor(ranks, ["--dir", "/proc", "--json"]).output.contains("\"sound\":false"))
  #expect(try doctor(ranks, ["--threads", "0"]).code == 78)
}
