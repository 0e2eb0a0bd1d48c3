import Failures
import Foundation
import Settings
import TestSupport
import Testing

/// Where settings come from, what they mean, and the schema that editors check files by.

private func resolve(_ text: String, base: String, sets: [String] = [], environment: [String: String] = [:]) throws
  -> ResolvedSettings
{
  let folder = try TemporaryFolder()
  try base.write(toFile: "\(folder.path)/base.yaml", atomically: true, encoding: .utf8)
  try text.write(toFile: "\(folder.path)/own.yaml", atomically: true, encoding: .utf8)
  return try Configuration.resolve(
    file: "\(folder.path)/own.yaml", flags: [("run.threads", "3")], sets: sets, environment: environment)
}

@Test func everySettingIsToldWithWhereItComesFromAndReadsBack() throws {
  let settings = try resolve(
    "extends: base.yaml\ntraining:\n  lr: 1e-3\n  schedule: {poly: 0.5}\n",
    base: "training: {batch: 16, lr: 1e-2}\nlora:\n  rank: 4\n", sets: ["lora.scale=2"],
    environment: ["ALA_SIDE__WIDTH": "48"])
  func origin(_ path: String) -> String { settings.origins[path]?.words ?? "" }
  #expect(origin("training.lr").hasSuffix("own.yaml:3"))
  #expect(origin("training.batch").hasSuffix("base.yaml:1, by extends"))
  #expect(origin("lora.rank").hasSuffix("base.yaml:3, by extends"))
  #expect(origin("lora.scale") == "--set" && origin("run.threads") == "--threads")
  #expect(origin("side.width") == "environment, ALA_SIDE__WIDTH" && origin("side.heads") == "default")
  #expect(settings.text.contains("\n  scale: 2.0  # --set\n"))
  #expect(try Configuration(resolvedYAML: settings.text, place: "text") == settings.configuration)
}

@Test func aSettingIsExplainedWithItsValueAndASectionWhole() throws {
  let settings = try resolve("training: {lr: 1e-3}", base: "")
  let text = try settings.explanation(of: "training.lr")
  for words in ["training.lr: 0.001", "learning rate", "5e-05", "own.yaml:1", "ALA_TRAINING__LR", "same value alone"] {
    #expect(text.contains(words), "\(words): \(text)")
  }
  #expect(try settings.explanation(of: "lora").contains("lora.rank: 16"))
  let failure = #expect(throws: Failure.self) { try settings.explanation(of: "training.lrr") }
  #expect(failure?.code == .badConfiguration && failure?.message.contains("training.lr") == true)
}

@Test func theSchemaHasEverySettingWithItsDefaultAndMeaning() throws {
  let schema = try #require(
    try JSONSerialization.jsonObject(with: Data(SettingTable.schema.utf8)) as? [String: Any])
  let sections = try #require(schema["properties"] as? [String: [String: Any]])
  for key in SettingTable.keys {
    let parts = key.path.split(separator: ".", maxSplits: 1).map(String.init)
    let own = (sections[parts[0]]?["properties"] as? [String: [String: Any]])?[parts[1]]
    #expect((own?["description"] as? String)?.contains(key.meaning) == true, "\(key.path)")
    #expect(own?.keys.contains("default") == true, "\(key.path)")
  }
  #expect(schema["additionalProperties"] as? Bool == false)
}

private let python = "import sys, json, yaml, jsonschema"
private let hasValidator = (try? run("/usr/bin/env", ["python3", "-c", python]))?.code == 0

/// By an implementation of others, where there is one: PyYAML reads `1e-3` as a text, so numbers are made numbers first.
@Test(.enabled(if: hasValidator, "python3 has no yaml and jsonschema"))
func theSchemaTakesEveryConfigurationAndRefusesWhatTheProgramRefuses() throws {
  let folder = try TemporaryFolder()
  try SettingTable.schema.write(toFile: "\(folder.path)/schema.json", atomically: true, encoding: .utf8)
  func accepts(_ file: String) throws -> Bool {
    let script = """
      \(python)
      def numbers(x):
        if isinstance(x, dict): return {k: numbers(v) for k, v in x.items()}
        if isinstance(x, list): return [numbers(v) for v in x]
        try: return float(x) if isinstance(x, str) else x
        except ValueError: return x
      schema = json.load(open(sys.argv[1]))
      jsonschema.Draft7Validator.check_schema(schema)
      jsonschema.validate(numbers(yaml.safe_load(open(sys.argv[2])) or {}), schema)
      """
    return try run("/usr/bin/env", ["python3", "-c", script, "\(folder.path)/schema.json", file]).code == 0
  }
  let configs = try FileManager.default.contentsOfDirectory(atPath: "\(repositoryRoot)/configs")
  for name in configs.sorted() where name.hasSuffix(".yaml") {
    #expect(try accepts("\(repositoryRoot)/configs/\(name)"), "\(name)")
  }
  for text in ["training: {lrr: 1}", "training: {batch: 0}", "cache: {dtype: int8}", "lora: {blocks: 3}", "nothing: 1"]
  {
    try text.write(toFile: "\(folder.path)/c.yaml", atomically: true, encoding: .utf8)
    #expect(try !accepts("\(folder.path)/c.yaml"), "\(text)")
    #expect(throws: Failure.self) { try Configuration.load(file: "\(folder.path)/c.yaml") }
  }
}
