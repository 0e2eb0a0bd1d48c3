import Failures
import Settings
import Testing

/// Settings out of the environment.

private func refusal(_ environment: [String: String]) -> Failure? {
  do {
    _ = try Configuration.load(file: nil, environment: environment)
    return nil
  } catch {
    return error as? Failure
  }
}

@Test(arguments: [
  ("ALA_TRAINING_LR", "ALA_TRAINING__LR"), ("ALA_TRAINING__LRR", "ALA_TRAINING__LR"),
  ("ALA_DATA_SPLIT_SEED", "ALA_DATA__SPLIT_SEED"), ("ALA_THREAD", "ALA_RUN__THREADS"),
  ("ALA_IMAGE__AUGMENT__", "ALA_IMAGE__AUGMENT"),
]) func aVariableThatIsNoSettingIsRefusedWithTheNearest(name: String, nearest: String) {
  let failure = refusal([name: "1"])
  #expect(failure?.code == .badConfiguration)
  #expect(
    failure?.message.hasPrefix("\(name): ") == true && failure?.message.contains(nearest) == true, "\(failure as Any)")
}

@Test func variablesOfOthersAreLetThrough() {
  for name in ["ALA_X86_64", "ALA_FIDELITY", "ALA_PICTURES", "ALA", "ALAS_X", "OMP_NUM_THREADS", "XALA_Y"] {
    #expect(refusal([name: "v4"]) == nil, "\(name)")
  }
}

@Test func twoVariablesOfOneSettingMustAgree() throws {
  #expect(
    refusal(["ALA_THREADS": "2", "ALA_RUN__THREADS": "3"])?.message.contains("ALA_RUN__THREADS is \"3\"") == true)
  #expect(refusal(["ALA_THREADS": "2", "ALA_RUN__THREADS": "3"])?.code == .badConfiguration)
  #expect(refusal(["ALA_THREADS": "2", "ALA_RUN__THREADS": "2"]) == nil)
}

@Test func ranksShareEverySettingButThreadsAndPathsOfKnownContents() throws {
  func shared(_ sets: [String]) throws -> [String] {
    try Configuration.load(file: nil, sets: sets).sharedByRanks.map { "\($0.key)=\($0.value)" }
  }
  let usual = try shared([])
  for free in ["run.threads=3", "data.root=x", "encoder.weights=x", "data.segmentations=x"] {
    #expect(try shared([free]) == usual, "\(free)")
  }
  for bound in ["training.lr=1.0e-3", "evaluation.steps=3", "run.dir=x", "cache.dir=x", "checkpoint.keep=9"] {
    #expect(try shared([bound]) != usual, "\(bound)")
  }
}
