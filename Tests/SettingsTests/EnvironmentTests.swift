import Failures
import Foundation
import Settings
import TestSupport
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

@Test func aVariableThatIsNearNoSettingNamesNone() {
  let message = refusal(["ALA_FOO": "1"])?.message
  #expect(message == "ALA_FOO: there is no setting foo; ala config lists those that there are")
}

@Test func variablesOfOthersAreLetThrough() {
  for name in ["ALA_FIDELITY", "ALA_LAUNCHED", "ALA_PICTURES", "ALA", "ALAS_X", "OMP_NUM_THREADS", "XALA_Y"] {
    #expect(refusal([name: "1"]) == nil, "\(name)")
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

@Test func aValueThatAnotherReplacesIsCheckedAsWell() throws {
  func refusal(
    _ yaml: String, flags: [(path: String, value: String)] = [], sets: [String] = [],
    _ environment: [String: String] = [:]
  ) throws -> Failure? {
    let folder = try TemporaryFolder()
    try yaml.write(toFile: "\(folder.path)/c.yaml", atomically: true, encoding: .utf8)
    do {
      _ = try Configuration.load(file: "\(folder.path)/c.yaml", flags: flags, sets: sets, environment: environment)
      return nil
    } catch {
      return error as? Failure
    }
  }
  let flag = [(path: "run.threads", value: "1")]
  let variable = try refusal("", flags: flag, ["ALA_THREADS": "abc"])
  #expect(
    variable?.code == .badConfiguration && variable?.message.hasPrefix("ALA_THREADS: run.threads is \"abc\"") == true,
    "\(variable as Any)")
  let line = try refusal("\ntraining: {lr: fast}", sets: ["training.lr=0.1"])
  #expect(line?.message.contains("c.yaml:2: training.lr is \"fast\"") == true, "\(line as Any)")
  #expect(try refusal("", sets: ["training.batch=x", "training.batch=2"])?.code == .badConfiguration)
  #expect(try refusal("training: {lr: 0.2}", flags: flag, sets: ["training.lr=0.1"], ["ALA_THREADS": "3"]) == nil)
}
