import Experiments
import Failures
import Metrics

/// Every explanation method of `ala`, in the order in which they are listed.
public enum MethodTable {
  public static let methods: [any ExplanationMethod] = [
    AttentionMap.ala, RISE(), GradCAM(), AttentionRollout(), ClassActivationMap(), DecodedMap(), AttentionMap.abn,
    CentredGaussian(), RandomMap(),
  ]

  /// What `--method` takes, for people.
  public static var names: String { methods.map(\.facts.name).joined(separator: ", ") + ", or randomised:NAME" }

  /// What stands before a method's name where the model's weights are as before training.
  static let randomisedPrefix = "randomised:"

  /// The method of a name; `randomised:NAME` is any other one of the untrained model.
  ///
  /// - Throws: `Failure` 64 naming the known ones.
  public static func method(_ name: String) throws -> any ExplanationMethod {
    if name.hasPrefix(randomisedPrefix) {
      let inner = try method(String(name.dropFirst(randomisedPrefix.count)))
      guard inner.facts.readsModel else {
        throw Failure.usage("--method \(name): \(inner.facts.name) does not read the model")
      }
      return RandomisedModel(inner)
    }
    guard let found = methods.first(where: { $0.facts.name == name }) else {
      throw Failure.usage("--method \(name): there is no such method; expected \(names)")
    }
    return found
  }

  /// Whether a name is that of a method of the untrained model.
  public static func isRandomised(_ name: String) -> Bool { name.hasPrefix(randomisedPrefix) }

  /// The method that a name stands for when the model is trained.
  public static func subject(ofMethod name: String) -> String {
    isRandomised(name) ? String(name.dropFirst(randomisedPrefix.count)) : name
  }

  /// A network's own method: what it is validated by, and what `evaluate` and `explain` take where none is named.
  ///
  /// - Parameter kind: `model.kind`.
  public static func ownMethod(ofNetwork kind: String) -> any ExplanationMethod {
    switch NetworkKind(setting: kind) {
    case .lattice: AttentionMap.ala
    case .abn: AttentionMap.abn
    case .cam: ClassActivationMap()
    case .fcam: DecodedMap()
    }
  }

  /// The method of a control that stands in every summary of a network.
  public static func method(of control: Control, network kind: String) -> any ExplanationMethod {
    switch control {
    case .centredGaussian: CentredGaussian()
    case .random: RandomMap()
    case .randomisedModel: RandomisedModel(ownMethod(ofNetwork: kind))
    }
  }

  /// The reference page of all methods, in Markdown; `docs/methods.md` is this text.
  public static var referencePage: String {
    func word(_ isSo: Bool) -> String { isSo ? "yes" : "no" }
    var lines = [
      "# Explanation methods", "",
      "What `--method` of `ala evaluate` and `ala explain` takes, from the table in `Sources/Explaining/MethodTable.swift`.",
      "`randomised:NAME` is any of them with the model's trained tensors as they were before training: a map that does",
      "not change then does not explain the model (Adebayo et al., \"Sanity checks for saliency maps\", NeurIPS 2018).",
      "`--cascade N` of `ala evaluate` takes the training out of one part of the model after another, from the top.",
      "",
      "| `--method` | title | from | reads the model | needs gradients | depends on `run.seed` |",
      "|---|---|---|---|---|---|",
    ]
    for facts in methods.map(\.facts) {
      lines.append(
        "| `\(facts.name)` | \(facts.title) | \(facts.source ?? "a control") | \(word(facts.readsModel)) | "
          + "\(word(facts.needsGradients)) | \(word(facts.isRandom)) |")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
