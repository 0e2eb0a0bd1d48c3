import Foundation

/// What has been appended to a file since the last look at it, while another program writes.
public struct TailedFile {
  public let path: String
  private var offset: off_t = 0
  private var identity: FileIdentity?
  /// What was read and not yet taken.
  private var rest = Data()

  /// Of one read; what is behind it comes with the next.
  private static let mostBytes = 32 << 20

  public init(_ path: String) { self.path = path }

  /// Hands what is new to `take`, with what it has left before, until there is no more.
  ///
  /// - Parameters:
  ///   - begin: called first where the file is not the one of the last look, or was cut: what was taken is void.
  ///   - take: returns how many bytes it has used; the others come again, with more behind them.
  public mutating func read(begin: () -> Void, take: (Data) -> Int) {
    guard let (descriptor, status) = try? openRegularFile(path) else { return }
    defer { close(descriptor) }
    let found = FileIdentity(status)
    if found != identity || status.st_size < offset {
      begin()
      (identity, offset, rest) = (found, 0, Data())
    }
    while offset < status.st_size {
      var bytes = Data(count: min(Self.mostBytes, Int(status.st_size - offset)))
      let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, offset) }
      guard count > 0 else { return }
      offset += off_t(count)
      rest.append(bytes.prefix(count))
      rest = Data(rest.dropFirst(take(rest)))
    }
  }
}
