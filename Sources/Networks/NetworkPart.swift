/// A part of a network above its encoder, as the cascade of parameter randomisation takes the training out of one after
/// another.
public struct NetworkPart: Equatable, Sendable {
  /// For people, and as a column of tables: lower-case letters and underscores.
  public let name: String
  /// What its tensors' names begin with. A tensor may belong to several parts; the first of them counts.
  public let prefix: String

  public init(_ name: String, prefix: String) {
    self.name = name
    self.prefix = prefix
  }
}
