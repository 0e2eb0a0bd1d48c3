import Experiments
import Explaining
import Failures
import Settings

/// What the names and overlays in `table.rows` stand for: rows, and the networks that must be trained for them.
struct RowResolution {
  private(set) var rows: [ComparedRow] = []
  private(set) var networks: [ComparedNetwork] = []
  private let base: Configuration
  private let own: [String: RowSetting]

  /// Titles of `ala`'s own rows that are not their method's.
  private static let titles = [
    "i": "(i) no LoRA", "ii": "(ii) no fusion", "iii": "(iii) no AEA", "iv": "(iv) whole",
  ]

  /// - Throws: `Failure` 78 naming the row.
  init(_ base: Configuration) throws {
    self.base = base
    own = Dictionary(uniqueKeysWithValues: base.table.rows.filter { $0.settings != nil }.map { ($0.name, $0) })
    // Networks of ala's own rows first, so that a row of the user's own with equal settings shares theirs.
    for row in base.table.rows where !trainsOwn(row) {
      if Recipes.row(ofMethod: subject(row)) != nil || own[base.table.classifier] == nil { _ = try network(of: row) }
    }
    rows = try base.table.rows.map { try resolve($0) }
  }

  private mutating func resolve(_ row: RowSetting) throws -> ComparedRow {
    let method = try method(row)
    let network = try network(of: row)
    let settings = (row.settings ?? []).filter { !Self.isOfTraining($0.path) }
    return ComparedRow(
      name: row.name, title: Self.titles[row.name] ?? (row.settings == nil ? method.facts.title : row.name),
      method: method, network: network,
      configuration: try networks[network].configuration.overlaid(settings, place: "row \(row.name)"),
      role: Self.role(method))
  }

  private static func role(_ method: any ExplanationMethod) -> ComparedRow.Role {
    let name = method.facts.name
    if !method.facts.readsModel || MethodTable.isRandomised(name) { return .control }
    return name == "ala" ? .base : .baseline
  }

  /// The row's method; without one in the settings, that of its network.
  private func method(_ row: RowSetting) throws -> any ExplanationMethod {
    let name = row.method ?? (row.settings == nil ? Recipes.method(ofRow: row.name) : ownMethod(row))
    do {
      return try MethodTable.method(name)
    } catch let failure as Failure {
      throw Failure.badConfiguration("table.rows: row \(row.name): \(failure.message)")
    }
  }

  private func ownMethod(_ row: RowSetting) -> String {
    let kind = row.settings?.last { $0.path == "model.kind" }?.text
    return Recipes.ofNetworks.first { $0.kind == kind && kind != "lattice" }?.kind ?? "ala"
  }

  /// Whether a setting is of a network, and not of a method.
  private static func isOfTraining(_ path: String) -> Bool { !path.hasPrefix("rise.") }

  // MARK: Networks

  /// Whether a row of the user's own has another network than the base's.
  private func trainsOwn(_ row: RowSetting) -> Bool { row.settings?.contains { Self.isOfTraining($0.path) } == true }

  /// The method that a row names, or that its name stands for; of the trained model.
  private func subject(_ row: RowSetting) -> String {
    MethodTable.subject(ofMethod: row.method ?? Recipes.method(ofRow: row.settings == nil ? row.name : "iv"))
  }

  private mutating func network(of row: RowSetting) throws -> Int {
    if trainsOwn(row) || Recipes.ofTheBase.contains(row.name) { return try network(ofRow: row.name) }
    return try network(ofMethod: subject(row), row.name)
  }

  /// The network that a row explains which trains none of its own.
  private mutating func network(ofMethod name: String, _ row: String) throws -> Int {
    if let made = Recipes.row(ofMethod: name) { return try network(ofRow: made) }
    let classifier = base.table.classifier
    guard row != classifier else {
      throw Failure.badConfiguration(
        "table.classifier is \(row), a row that trains no network: its method \(name) explains the classifier's")
    }
    let found: Int
    if let row = own[classifier] { found = try network(of: row) } else { found = try network(ofRow: classifier) }
    guard networks[found].kind != "fcam" else {
      throw Failure.badConfiguration(
        "table.classifier is \(classifier), whose network explains another one's predictions; expected one that classifies"
      )
    }
    return found
  }

  /// The network that is trained for a row.
  private mutating func network(ofRow name: String) throws -> Int {
    if let known = networks.firstIndex(where: { $0.name == name }) { return known }
    try checkBase(name)
    let configuration = try base.overlaid(settings(ofRow: name), place: "row \(name)")
    if own[name] != nil, let same = networks.firstIndex(where: { $0.configuration == configuration }) { return same }
    // A row of the user's own may name another classifier.
    let namesClassifier = own[name]?.settings?.contains { $0.path == StandIn.setting } == true
    let classifier = configuration.model.kind == "fcam" && !namesClassifier ? try network(ofRow: "cam") : nil
    networks.append(ComparedNetwork(name: name, configuration: configuration, classifier: classifier))
    return networks.count - 1
  }

  private func settings(ofRow name: String) -> [RowSetting.Assignment] {
    guard let row = own[name] else { return Recipes.settings(ofRow: name) ?? [] }
    let settings = row.settings ?? []
    // A method that is made for one kind of network says which kind the row trains, where nothing else does.
    let kind =
      settings.last { $0.path == "model.kind" }?.text ?? row.method.map { MethodTable.subject(ofMethod: $0) } ?? ""
    return (kind == base.model.kind ? [] : Recipes.settings(ofNetwork: kind))
      + settings.filter { Self.isOfTraining($0.path) }
  }

  /// Refuses rows whose name promises what the base cannot give.
  private func checkBase(_ name: String) throws {
    guard Recipes.ofTheBase.contains(name) else { return }
    guard base.model.kind == "lattice" else {
      throw Failure.badConfiguration(
        "row \(name) is of the paper's network, but model.kind is \(base.model.kind); expected lattice as the base of a table"
      )
    }
    guard let ablation = Recipes.ablations.first(where: { $0.row == name }), !ablation.isThere(base) else { return }
    throw Failure.badConfiguration(
      "row \(name) takes \(ablation.part) out of the base, but \(ablation.setting.path) is "
        + "\(base.yaml(ablation.setting.path)) already: there is nothing to ablate; give the base \(ablation.part), or "
        + "leave \(name) out of table.rows and table.classifier")
  }
}
