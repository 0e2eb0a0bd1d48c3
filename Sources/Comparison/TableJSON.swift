import Foundation
import Settings

/// `table.json` (docs/table.md).
struct TableJSON: Encodable {
  struct Figure: Encodable {
    let cell: TableResults.Cell

    enum CodingKeys: String, CodingKey {
      case mean, sd, n, values
      case welch = "p_welch"
      case welchHolm = "p_welch_holm"
      case bootstrap = "p_bootstrap"
      case bootstrapHolm = "p_bootstrap_holm"
      case bestBaseline = "best_baseline"
    }

    /// What is not there is null: readers look for the key.
    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(cell.mean, forKey: .mean)
      try container.encode(cell.sd, forKey: .sd)
      try container.encode(cell.values.count, forKey: .n)
      try container.encode(cell.values, forKey: .values)
      try container.encode(cell.welch, forKey: .welch)
      try container.encode(cell.welchHolm, forKey: .welchHolm)
      try container.encode(cell.bootstrap, forKey: .bootstrap)
      try container.encode(cell.bootstrapHolm, forKey: .bootstrapHolm)
      try container.encode(cell.bestBaseline, forKey: .bestBaseline)
    }
  }

  struct Failed: Encodable {
    let code: Int32
    let message: String
  }

  struct Row: Encodable {
    let row: TableResults.Row

    enum CodingKeys: String, CodingKey { case name, method, network, role, published, seeds, figures, failure }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(row.row.name, forKey: .name)
      try container.encode(row.row.method.facts.name, forKey: .method)
      try container.encode(row.network, forKey: .network)
      try container.encode(row.row.role, forKey: .role)
      try container.encode(PublishedTable.rows[row.row.name], forKey: .published)
      try container.encode(row.seeds, forKey: .seeds)
      try container.encode(row.cells.mapValues { Figure(cell: $0) }, forKey: .figures)
      try container.encode(row.failure.map { Failed(code: $0.code.rawValue, message: $0.message) }, forKey: .failure)
    }
  }

  let rows: [Row]
  let rule: String
  let `protocol`: String
  let images: Int
  let masks: Int
  let caption: [String]
  let settings: [String: String]

  init(_ text: TableText) {
    let (plan, results) = (text.plan, text.results)
    rows = results.rows.map { Row(row: $0) }
    (rule, `protocol`) = (plan.base.evaluation.iouRule, plan.base.evaluation.protocol)
    (images, masks) = (results.images, results.masks)
    caption = text.caption
    settings = Self.settings(plan.base)
  }

  /// The base's settings, but for those of the machine and for folders of runs.
  static func settings(_ base: Configuration) -> [String: String] {
    let paths = SettingTable.keys.map(\.path).filter { path in
      !path.hasPrefix("run.") && !path.hasPrefix("checkpoint.") && path != "cache.dir" && path != "cache.layers"
    }
    return Dictionary(uniqueKeysWithValues: paths.map { ($0, base.yaml($0)) })
  }
}
