/// What the epochs of a network may be: a phase says what is run, trained, summed and stepped. Each network declares
/// its own, under the names that metrics and checkpoints give them.
public struct Phase: Hashable, Sendable {
  public let name: String
  /// Whether the network is validated after its epochs.
  public let isValidated: Bool

  public init(_ name: String, isValidated: Bool) {
    self.name = name
    self.isValidated = isValidated
  }
}
