import Experiments
import Settings

/// What a row of `ala`'s own lays over the table's base.
public enum Recipes {
  /// Optimiser and schedule of the networks beside the lattice, whose own would cripple them; the same stands in
  /// `configs/abn.yaml`, `configs/cam.yaml` and `configs/fcam.yaml`.
  public static let ofNetworks: [(kind: String, settings: [RowSetting.Assignment])] = [
    ("lattice", []),
    (
      "abn",
      [
        .init("model.kind", "abn"), .init("training.optimizer", "adamw"), .init("training.lr", "5.0e-4"),
        .init("training.weight_decay", "1.0e-4"), .init("training.lambda", "1"),
        .init("training.schedule", "{poly: 0.9}"), .init("training.clip", "1"),
      ]
    ),
    (
      "cam",
      [
        .init("model.kind", "cam"), .init("training.epochs", "30"), .init("training.optimizer", "adamw"),
        .init("training.lr", "0.02"), .init("training.weight_decay", "1.0e-4"),
        .init("training.schedule", "{poly: 0.9}"), .init("training.clip", "0"),
        .init("training.select", "accuracy"),
      ]
    ),
    (
      "fcam",
      [
        .init("model.kind", "fcam"), .init("training.optimizer", "sgd"), .init("training.momentum", "0.9"),
        .init("training.lr", "0.01"), .init("training.weight_decay", "1.0e-4"),
        .init("training.schedule", "constant"), .init("training.clip", "0"), .init("training.select", "loss"),
      ]
    ),
  ]

  /// Of a network's kind; none for a kind that is none.
  static func settings(ofNetwork kind: String) -> [RowSetting.Assignment] {
    ofNetworks.first { $0.kind == kind }?.settings ?? []
  }

  /// What a row of the table in the paper takes out of the base, with the setting in which the base must have it.
  struct Ablation: Sendable {
    let row: String
    let setting: RowSetting.Assignment
    let part: String
    let isThere: @Sendable (Configuration) -> Bool
  }

  static let ablations = [
    Ablation(row: "i", setting: .init("lora.blocks", "[]"), part: "LoRA") { !$0.lora.blocks.isEmpty },
    Ablation(row: "ii", setting: .init("side.fusion", "[]"), part: "the fused features") { !$0.side.fusion.isEmpty },
    Ablation(row: "iii", setting: .init("training.aea", "false"), part: "alternating epochs") { $0.training.aea },
  ]

  /// The rows whose network is the base, or the base without a part of it.
  static let ofTheBase = ablations.map(\.row) + ["iv"]

  /// The settings over the base of a row of `ala`'s own that trains a network; nil for one that trains none.
  static func settings(ofRow name: String) -> [RowSetting.Assignment]? {
    if name == "iv" { return [] }
    if let ablation = ablations.first(where: { $0.row == name }) { return [ablation.setting] }
    return ofNetworks.first { $0.kind == name && name != "lattice" }?.settings
  }

  /// The explanation method of a row of `ala`'s own.
  static func method(ofRow name: String) -> String { ofTheBase.contains(name) ? "ala" : name }

  /// The row whose network a method is made for; nil for methods that explain any.
  static func row(ofMethod name: String) -> String? {
    name == "ala" ? "iv" : ofNetworks.contains { $0.kind == name } && name != "lattice" ? name : nil
  }
}
