import Benchmark
import Foundation
import TestSupport
import Testing

@Test func tenStepsAtFullSizeRunOnTwoRanksInOddAndEvenEpochs() throws {
  let folder = try TemporaryFolder()
  let program = builtProgram("ala")
  try RandomEncoder.write(to: "\(folder.path)/vit-b16.safetensors")
  #expect(
    try run(
      program,
      ["synth", "--out", "\(folder.path)/data", "--classes", "200", "--images-per-class", "2", "--size", "224"]
    ).code == 0)
  // Five batches of eight an epoch: forty training images of two hundred classes.
  let images = try String(contentsOfFile: "\(folder.path)/data/images.txt", encoding: .utf8).split(separator: "\n")
  try (images.prefix(80).joined(separator: "\n") + "\n").write(
    toFile: "\(folder.path)/data/images.txt", atomically: true, encoding: .utf8)
  try """
  run: {dir: \(folder.path)/run}
  data: {root: \(folder.path)/data}
  encoder: {weights: \(folder.path)/vit-b16.safetensors}
  training: {epochs: 2}
  """.write(toFile: "\(folder.path)/c.yaml", atomically: true, encoding: .utf8)
  let result = try mpirun(
    ranks: 2, program, ["train", "--config", "\(folder.path)/c.yaml", "--threads", "1", "--stop-after-steps", "10"],
    seconds: 560)
  #expect(result.code == 0, "\(result.errors)")
  let steps = try String(contentsOfFile: "\(folder.path)/run/metrics.jsonl", encoding: .utf8).split(separator: "\n")
    .compactMap { try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] }
    .filter { $0["event"] as? String == "step" }
  #expect(steps.count == 10 && Set(steps.compactMap { $0["phase"] as? String }) == ["alpha", "ones"])
  #expect(steps.allSatisfy { ($0["loss"] as? Double)?.isFinite == true })
  for phase in ["alpha", "ones"] {
    let rates = steps.filter { $0["phase"] as? String == phase }.compactMap { $0["samples_per_s"] as? Double }.sorted()
    print(
      "ViT-B/16, 224 pixels, 200 classes, 2 ranks x 1 thread, live, phase \(phase): \(rates[rates.count / 2]) samples/s"
    )
  }
  print(result.errors.split(separator: "\n").last { $0.contains("peak memory") } ?? "")
  // The paper's sizes: docs/model.md, "What the paper leaves open".
  #expect(result.errors.contains("trained parameters: 9451962 in alpha epochs, 2312136 in ones epochs"))
}
