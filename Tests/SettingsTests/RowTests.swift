import Failures
import Settings
import Testing

/// Rows of `ala table` as settings.

private func load(_ rows: String, more: String = "") throws -> Configuration {
  try Configuration.load(file: nil, sets: ["table.rows=\(rows)"] + (more.isEmpty ? [] : [more]))
}

@Test(arguments: [
  "[iv, rise]", "[{name: x}]", "[iv, {name: gradcam-abn, method: gradcam, set: {model.kind: abn}}]",
  "[{name: x, set: {training: {lr: 1.0e-3, schedule: {poly: 2}}, side.fusion: san, lora.targets: [fc1, fc2]}}]",
  "[{name: x, set: {training.schedule: constant, image.augment: none, encoder.weights: 'a b#c: d.safetensors'}}]",
  "[{name: x.y_z-1, set: {image.augment: {flip: 0}, rise.settle: null}}]",
]) func rowsSurviveTheResolvedSettings(rows: String) throws {
  let configuration = try load(rows)
  let again = try Configuration(resolvedYAML: configuration.resolvedYAML, place: "here")
  #expect(again == configuration && again.table.rows == configuration.table.rows)
}

@Test func aRowsSettingsLieOverTheBaseOneByOne() throws {
  let base = try load(
    "[{name: x, set: {training: {lr: 0.5}, image.augment.flip: 0.25, training.schedule.poly: 2}}]",
    more: "image.augment={crop: random, resize: 300, flip: 1}")
  let own = try base.overlaid(base.table.rows[0].settings ?? [], place: "row x")
  #expect(own.training.lr == 0.5 && own.training.poly == 2 && own.training.batch == base.training.batch)
  #expect(own.image.crop?.resize == 300 && own.image.crop?.flip == 0.25)
  #expect(try base.overlaid([], place: "here") == base)
}

@Test(arguments: [
  ("[v]", "there is no row \"v\""), ("iv", "expected a list"), ("[[iv]]", "expected a list"),
  ("[{method: ala}]", "name is absent"), ("[{name: a/b}]", "name is \"a/b\""), ("[{name: ..}]", "name is \"..\""),
  ("[{name: iv, set: {side.width: 2}}]", "iv is a row of ala's own"), ("[{name: x, sets: {}}]", "no key sets"),
  ("[{name: x, set: [1]}]", "expected a map of settings"), ("[{name: x, method: [a]}]", "method: expected"),
  ("[{name: x, set: {side: 3}}]", "expected a map of settings"),
  ("[{name: x, set: {image.augment.flop: 1}}]", "image.augment is"),
  ("[{name: x, set: {data.root: a}}]", "data.root is the same for all rows"),
  ("[{name: x, set: {evaluation: {steps: 3}}}]", "evaluation.steps is the same for all rows"),
  ("[{name: x, set: {table.limit: 3}}]", "table.limit is the same for all rows"),
]) func aRowThatCannotBeReadIsRefusedWithWhatIsWrong(rows: String, words: String) {
  #expect {
    _ = try load(rows)
  } throws: { error in
    guard let failure = error as? Failure else { return false }
    return failure.code == .badConfiguration && failure.message.contains(words)
  }
}
