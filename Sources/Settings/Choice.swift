extension RawRepresentable where RawValue == String {
  /// The case that a setting of kind `choice` names. Its word has been checked against the table, whose words are the
  /// cases' own: another one is a mistake of the program.
  public init(setting word: String) {
    guard let value = Self(rawValue: word) else {
      preconditionFailure("no \(Self.self) is called \(word); the table of settings allows a word too many")
    }
    self = value
  }
}
